#include "viewer/view_model/describe/pane.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "viewer/view_model/describe/forgetting.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/last_row_bars.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/pane_rows.h"
#include "viewer/view_model/describe/pane_text.h"
#include "viewer/view_model/describe/pool.h"
#include "viewer/view_model/describe/score_text.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

const char* block_name(Part part) { return part == Part::q ? "Q" : part == Part::k ? "K" : "V"; }

/// A cell of the scores or weights, in a row with this state.
State cell_state(State row_state_now, KeyUse use, Beat beat) {
  if (row_state_now == State::absent || row_state_now == State::not_yet) return row_state_now;
  if (use == KeyUse::seen) return row_state_now;
  if (use == KeyUse::not_stored) return State::not_stored;
  return reached(beat, Beat::mask) ? State::masked : State::not_yet;
}

/// Builds one pane.
class PaneBuilder {
 public:
  PaneBuilder(const Snapshot& snapshot, Mode side, const Selection& selection)
      : in_(snapshot, side, selection),
        rows_(in_),
        window_(window_of(in_.n, selection.room, selection.first_token)) {}

  PaneState build() {
    PaneState pane;
    pane.side = in_.side;
    pane.n_tokens = in_.n;
    pane.window = window_;
    if (!window_.whole()) {
      pane.window_range = range(window_.first, window_.first + window_.n - 1);
      pane.window_note = "of " + plural(in_.n, "token");
    }
    pane.first_new_row = in_.step.prefill() ? 0 : in_.n - 1;
    pane.decides_row = in_.n - 1;
    for (int slot = 0; slot < window_.n_shown(); ++slot)
      pane.labels.push_back(token_label(in_.snapshot, window_.position(slot)));
    pane.numbered = in_.setup.model->tokenizer().is_numbered();
    pane.name = in_.side == Mode::cached ? "WITH CACHE" : "WITHOUT CACHE";
    pane.subtitle = pane_subtitle(in_.snapshot, in_.side, in_.at);
    pane.q = values(Part::q);
    pane.k = values(Part::k);
    pane.v = values(Part::v);
    pane.scores = matrix(Part::score);
    pane.weights = matrix(Part::weight);
    pane.matrix = reached(in_.at.beat, Beat::softmax) ? Part::weight
                  : reached(in_.at.beat, Beat::score) ? Part::score
                                                      : Part::none;
    pane.bars = last_row_bars(in_.snapshot, in_.side, in_.at, window_);
    pane.output = output();
    pane.sweep_to = in_.at.beat == Beat::score ? window_.n_shown() - 1 : -1;
    pane.kept_rows = static_cast<int>(in_.held.kept.size());
    pane.kept = fmt::format("kept after this step: Q 0 · K {0} · V {0}", pane.kept_rows);
    pane.kept_title = "kept for the next step";
    pane.show_kept = in_.at.beat == Beat::keep;
    pane.forgets = forgets(in_.setup);
    pane.price = price(in_.snapshot, in_.side, in_.at);
    if (pane.forgets && in_.side == Mode::cached) add_places(pane);
    if (in_.setup.uses_new_positions()) add_new_positions(pane);
    pane.beat_note = beat_note(in_.snapshot, in_.side, in_.at);
    return pane;
  }

 private:
  /// Which positions are not stored, the index of each row that is, and the slots.
  void add_places(PaneState& pane) const {
    pane.pool = build_pool(in_.snapshot, in_.at);
    bool differ = false;
    for (const Row& row : pane.k.rows) {
      pane.struck.push_back(row.is == State::not_stored);
      pane.indices.push_back(row.index < 0 ? "" : fmt::format("{}", row.index));
      differ = differ || (row.index >= 0 && row.index != row.position);
    }
    if (!differ) pane.indices.clear();
  }

  /// In place of the indices: what RoPE and ALiBi take for each key that the last query reads.
  void add_new_positions(PaneState& pane) const {
    pane.index_title = "new";
    pane.indices.clear();
    for (const Row& row : pane.k.rows) {
      const bool read = row.is != State::not_stored && row.is != State::not_yet && row.is != State::absent &&
                        key_use(in_.data, in_.at.layer, in_.n - 1, row.position) == KeyUse::seen;
      pane.indices.push_back(
          read ? fmt::format("{}", used_position(in_.data, in_.at.layer, in_.n - 1, row.position)) : "");
    }
  }

  const LayerScales& scales() const { return in_.setup.scales[static_cast<size_t>(in_.at.layer)]; }
  ValueBlock values(Part part) const {
    ValueBlock block;
    block.part = part;
    block.head_dim = in_.config.head_dim;
    block.name = block_name(part);
    if (part != Part::v && in_.config.has_rope()) block.subtitle = "after RoPE";
    block.sharing = sharing_text(in_.config, in_.kv_head);
    if (part == Part::q) block.sharing = fmt::format("query head {}", in_.at.head);
    block.scale = part == Part::q ? scales().q : part == Part::k ? scales().k : scales().v;
    const int n_shown = window_.n_shown();
    block.values.assign(static_cast<size_t>(n_shown) * static_cast<size_t>(in_.config.head_dim), 0.0f);
    for (int slot = 0; slot < n_shown; ++slot) {
      const int position = window_.position(slot);
      const float* x = rows_.values(part, position);
      block.rows.push_back(rows_.row(part, position, x, in_.config.head_dim));
      if (x) std::copy_n(x, in_.config.head_dim, block.values.begin() + int64_t{slot} * in_.config.head_dim);
      const State is = block.rows.back().is;
      if (is != State::not_yet && is != State::absent && is != State::not_stored)
        rows_.compare(part, x, block.rows.back());
    }
    return block;
  }

  MatrixBlock matrix(Part part) const {
    const bool scores = part == Part::score;
    MatrixBlock block;
    block.part = part;
    block.n = window_.n_shown();
    block.name = scores ? "scores" : "weights";
    block.subtitle = scores ? score_formula(in_.config) : "softmax";
    block.scale = scores ? scales().score : kWeightScale;
    const auto cells = static_cast<size_t>(block.n) * static_cast<size_t>(block.n);
    block.values.assign(cells, scores ? -std::numeric_limits<float>::infinity() : 0.0f);
    block.was.assign(cells, State::not_yet);
    block.cells.assign(cells, State::not_yet);
    for (int slot = 0; slot < block.n; ++slot) fill_matrix_row(part, slot, block);
    return block;
  }

  void fill_matrix_row(Part part, int slot, MatrixBlock& block) const {
    const int t = window_.position(slot);
    const float* x = part == Part::score ? score_row(in_.data, in_.at.layer, in_.at.head, t, in_.n)
                                         : prob_row(in_.data, in_.at.layer, in_.at.head, t, in_.n);
    block.rows.push_back(rows_.row(part, t, x, in_.n));
    Row& r = block.rows.back();
    for (int column = 0; column < block.n; ++column) {
      const auto cell = static_cast<size_t>(slot * block.n + column);
      const int s = window_.position(column);
      const KeyUse use = rows_.fed(t) ? key_use(in_.data, in_.at.layer, t, s) : KeyUse::seen;
      block.was[cell] = cell_state(r.was, use, rows_.before());
      block.cells[cell] = cell_state(r.is, use, in_.at.beat);
      if (x) block.values[cell] = x[s];
      if (x && use == KeyUse::seen && !std::isfinite(x[s])) r.not_finite = true;
    }
  }

  OutputRow output() const {
    OutputRow o;
    const float* x = out_row(in_.setup, in_.data, in_.at.layer, in_.at.head, in_.n - 1);
    o.row = rows_.row(Part::output, in_.n - 1, x, in_.config.head_dim);
    o.scale = scales().out;
    o.title = fmt::format("output of head {}, row {}", in_.at.head, in_.n - 1);
    if (x) o.values.assign(x, x + in_.config.head_dim);
    if (in_.at.beat == Beat::sum)
      if (const float* p = prob_row(in_.data, in_.at.layer, in_.at.head, in_.n - 1, in_.n))
        for (int slot = 0; slot < window_.n_shown(); ++slot) o.v_tint.push_back(p[window_.position(slot)]);
    return o;
  }

  const PaneSource in_;
  const PaneRows rows_;
  const TokenWindow window_;
};

}  // namespace

PaneState build_pane(const Snapshot& snapshot, Mode side, const Selection& selection) {
  return PaneBuilder(snapshot, side, selection).build();
}

}  // namespace lastrow::view
