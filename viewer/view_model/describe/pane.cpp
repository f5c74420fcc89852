#include "viewer/view_model/describe/pane.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "viewer/view_model/describe/compare.h"
#include "viewer/view_model/describe/forgetting.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/needed.h"
#include "viewer/view_model/describe/pane_text.h"
#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/pool.h"
#include "viewer/view_model/describe/row_rule.h"
#include "viewer/view_model/describe/score_text.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

constexpr float kUnusedOpacity = 0.4f;
constexpr float kFaintest = 0.3f;      // unused and dropped, but still there to look at
constexpr int64_t kRoundingUlp = 512;  // a larger difference does not come from rounding

const char* block_name(Part part) { return part == Part::q ? "Q" : part == Part::k ? "K" : "V"; }

/// Builds one pane.
class PaneBuilder {
 public:
  PaneBuilder(const Snapshot& snapshot, Mode side, const Selection& selection)
      : snapshot_(snapshot),
        setup_(*snapshot.setup),
        config_(snapshot.setup->config()),
        step_(*snapshot.now),
        data_(snapshot.now->side(side)),
        held_(data_.held(selection.layer)),
        side_(side),
        at_(selection),
        kv_head_(selection.head / config_.group_size()),
        before_(selection.beat == Beat::start ? Beat::start
                                              : static_cast<Beat>(static_cast<int>(selection.beat) - 1)),
        n_(snapshot.now->n_tokens),
        window_(window_of(n_, selection.room, selection.first_token)) {
    if (side == Mode::recompute) needed_ = needed_rows(data_, selection.layer);
  }

  PaneState build() {
    PaneState pane;
    pane.side = side_;
    pane.n_tokens = n_;
    pane.window = window_;
    if (!window_.whole()) {
      pane.window_range = range(window_.first, window_.first + window_.n - 1);
      pane.window_note = "of " + plural(n_, "token");
    }
    pane.first_new_row = step_.prefill() ? 0 : n_ - 1;
    pane.decides_row = n_ - 1;
    for (int slot = 0; slot < window_.n_shown(); ++slot)
      pane.labels.push_back(token_label(snapshot_, window_.position(slot)));
    pane.name = side_ == Mode::cached ? "WITH CACHE" : "WITHOUT CACHE";
    pane.subtitle = pane_subtitle(snapshot_, side_, at_);
    pane.q = values(Part::q);
    pane.k = values(Part::k);
    pane.v = values(Part::v);
    pane.scores = matrix(Part::score);
    pane.weights = matrix(Part::weight);
    pane.matrix = reached(at_.beat, Beat::softmax) ? Part::weight
                  : reached(at_.beat, Beat::score) ? Part::score
                                                   : Part::none;
    pane.bars = bars();
    pane.output = output();
    pane.sweep_to = at_.beat == Beat::score ? window_.n_shown() - 1 : -1;
    pane.kept_rows = static_cast<int>(held_.kept.size());
    pane.kept = fmt::format("kept after this step: Q 0 · K {0} · V {0}", pane.kept_rows);
    pane.kept_title = "kept for the next step";
    pane.show_kept = at_.beat == Beat::keep;
    pane.forgets = forgets(setup_);
    pane.price = price(snapshot_, side_, at_);
    if (pane.forgets && side_ == Mode::cached) add_places(pane);
    if (setup_.uses_new_positions()) add_new_positions(pane);
    pane.beat_note = beat_note(snapshot_, side_, at_);
    return pane;
  }

 private:
  /// Which positions are not stored, the index of each row that is, and the slots.
  void add_places(PaneState& pane) const {
    pane.pool = build_pool(snapshot_, at_);
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
                        key_use(data_, at_.layer, n_ - 1, row.position) == KeyUse::seen;
      pane.indices.push_back(read ? fmt::format("{}", used_position(data_, at_.layer, n_ - 1, row.position))
                                  : "");
    }
  }

  const LayerScales& scales() const { return setup_.scales[static_cast<size_t>(at_.layer)]; }
  bool fed(int position) const { return side_ == Mode::recompute || step_.prefill() || position == n_ - 1; }
  RowRule rule(Part part, int position) const {
    return {.side = side_,
            .part = part,
            .prefill = step_.prefill(),
            .fed = fed(position),
            .last_row = position == n_ - 1,
            .needed = is_needed(part, position),
            .stored = index_of(held_.keys, position) >= 0,
            .evicted = was_evicted(held_, position),
            .seen = key_use(data_, at_.layer, n_ - 1, position) == KeyUse::seen};
  }
  bool is_needed(Part part, int position) const {
    const std::vector<bool>& rows = part == Part::k || part == Part::v ? needed_.keys : needed_.outputs;
    return rows.empty() || rows[static_cast<size_t>(position)];
  }
  /// Whether the cache holds the row at the end of a beat, and at which index; −1: it does not.
  int stored_index(const RowRule& rule, int position, Beat beat) const {
    if (side_ == Mode::recompute || (rule.fed && !reached(beat, Beat::append))) return -1;
    return index_of(reached(beat, Beat::keep) ? held_.kept : held_.keys, position);
  }

  bool is_poked(Part part, int position) const {
    for (const Poke& poke : step_.pokes) {
      const int head = part == Part::q ? at_.head : kv_head_;
      if (poked_part(poke) == part && poke.layer == at_.layer && poke.position == position &&
          (poke.head < 0 || poke.head == head))
        return true;
    }
    return false;
  }

  static float opacity(const RowRule& rule, State state, Beat beat) {
    const float faded = row_opacity(rule, beat);
    return state == State::again_unused ? std::max(kFaintest, faded * kUnusedOpacity) : faded;
  }

  Row row(Part part, int position, const float* values, int width) const {
    const RowRule r = rule(part, position);
    Row out;
    out.position = position;
    out.was = row_state(r, before_);
    out.is = row_state(r, at_.beat);
    out.opacity_was = opacity(r, out.was, before_);
    out.opacity = opacity(r, out.is, at_.beat);
    if (part == Part::k || part == Part::v) {
      out.index = stored_index(r, position, at_.beat);
      out.stored_was = stored_index(r, position, before_) >= 0;
      out.stored = out.index >= 0;
    }
    out.poked = is_poked(part, position);
    out.asked = at_.asked && at_.asked->part == part && at_.asked->row == position;
    if (values && part != Part::score && part != Part::weight)  // those look at each cell
      out.not_finite = !std::all_of(values, values + width, [](float x) { return std::isfinite(x); });
    return out;
  }

  const float* row_values(const SideData& s, Part part, int position) const {
    if (part == Part::q) return q_row(setup_, s, at_.layer, at_.head, position);
    return part == Part::k ? k_row(setup_, s, at_.layer, kv_head_, position)
                           : v_row(setup_, s, at_.layer, kv_head_, position);
  }

  /// Compares the row with the same row one step ago.
  void compare(Part part, const float* values, Row& row) const {
    if (!values || !snapshot_.previous || row.position >= snapshot_.previous->n_tokens) return;
    const float* old = row_values(snapshot_.previous->side(side_), part, row.position);
    if (!old) return;
    const int64_t ulp = row_distance_ulp(values, old, config_.head_dim);
    if (ulp == 0) {
      row.repeat = Repeat::same_bits;
      row.repeat_text = "same bits";
    } else if (ulp > 0 && ulp <= kRoundingUlp) {
      row.repeat = Repeat::rounding;
      row.repeat_text = fmt::format("≤ {} ULP", ulp);
    } else {
      row.repeat = Repeat::changed;
      row.repeat_text = "changed by " + rough(largest_change(values, old, config_.head_dim));
    }
  }

  ValueBlock values(Part part) const {
    ValueBlock block;
    block.part = part;
    block.head_dim = config_.head_dim;
    block.name = block_name(part);
    if (part != Part::v && config_.has_rope()) block.subtitle = "after RoPE";
    block.sharing = sharing_text(config_, kv_head_);
    if (part == Part::q) block.sharing = fmt::format("query head {}", at_.head);
    block.scale = part == Part::q ? scales().q : part == Part::k ? scales().k : scales().v;
    const int n_shown = window_.n_shown();
    block.values.assign(static_cast<size_t>(n_shown) * static_cast<size_t>(config_.head_dim), 0.0f);
    for (int slot = 0; slot < n_shown; ++slot) {
      const int position = window_.position(slot);
      const float* x = row_values(data_, part, position);
      block.rows.push_back(row(part, position, x, config_.head_dim));
      if (x) std::copy_n(x, config_.head_dim, block.values.begin() + int64_t{slot} * config_.head_dim);
      const State is = block.rows.back().is;
      if (is != State::not_yet && is != State::absent && is != State::not_stored)
        compare(part, x, block.rows.back());
    }
    return block;
  }

  State cell_state(State row_state_now, KeyUse use, Beat beat) const {
    if (row_state_now == State::absent || row_state_now == State::not_yet) return row_state_now;
    if (use == KeyUse::seen) return row_state_now;
    if (use == KeyUse::not_stored) return State::not_stored;
    return reached(beat, Beat::mask) ? State::masked : State::not_yet;
  }

  MatrixBlock matrix(Part part) const {
    const bool scores = part == Part::score;
    MatrixBlock block;
    block.part = part;
    block.n = window_.n_shown();
    block.name = scores ? "scores" : "weights";
    block.subtitle = scores ? score_formula(config_) : "softmax";
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
    const float* x = part == Part::score ? score_row(data_, at_.layer, at_.head, t, n_)
                                         : prob_row(data_, at_.layer, at_.head, t, n_);
    block.rows.push_back(row(part, t, x, n_));
    Row& r = block.rows.back();
    for (int column = 0; column < block.n; ++column) {
      const auto cell = static_cast<size_t>(slot * block.n + column);
      const int s = window_.position(column);
      const KeyUse use = fed(t) ? key_use(data_, at_.layer, t, s) : KeyUse::seen;
      block.was[cell] = cell_state(r.was, use, before_);
      block.cells[cell] = cell_state(r.is, use, at_.beat);
      if (x) block.values[cell] = x[s];
      if (x && use == KeyUse::seen && !std::isfinite(x[s])) r.not_finite = true;
    }
  }

  LastRowBars bars() const {
    LastRowBars b;
    const float* scores = score_row(data_, at_.layer, at_.head, n_ - 1, n_);
    const float* weights = prob_row(data_, at_.layer, at_.head, n_ - 1, n_);
    if (!scores || !weights) return b;
    b.scores.assign(scores, scores + n_);
    b.weights.assign(weights, weights + n_);
    const std::vector<int> keys = keys_seen(data_, at_.layer, n_ - 1);
    b.seen.assign(static_cast<size_t>(n_), false);
    for (const int s : keys) b.seen[static_cast<size_t>(s)] = true;
    const auto [least, most] =
        std::minmax_element(keys.begin(), keys.end(), [&](int a, int c) { return scores[a] < scores[c]; });
    b.smallest_score = keys.empty() ? 0 : scores[*least];
    b.largest_score = keys.empty() ? 0 : scores[*most];
    double sum = 0;
    for (float w : b.weights) sum += double{w};
    b.weight_sum = static_cast<float>(sum);
    b.score_caption = fmt::format("scores of row {}", n_ - 1);
    b.weight_caption = fmt::format("weights of row {} · Σ = {:.3f}", n_ - 1, sum);
    b.weight_top = weight_top(*std::max_element(b.weights.begin(), b.weights.end()));
    b.outside = outside(b.weights);
    b.show_scores = reached(at_.beat, Beat::score);
    b.show_weights = reached(at_.beat, Beat::softmax);
    b.morph = at_.beat == Beat::softmax;
    return b;
  }

  /// The chart of a long text would be flat if it always went up to 1.
  /// There are few heights, so that a step rarely changes it.
  static float weight_top(float largest) {
    for (const float top : {0.01f, 0.02f, 0.05f, 0.1f, 0.2f, 0.5f})
      if (largest <= top) return top;
    return 1;
  }

  /// How much of the weight lies on keys that the window does not show.
  std::string outside(const std::vector<float>& weights) const {
    if (window_.whole()) return "";
    double hidden = 0;
    for (int position = 0; position < n_; ++position)
      if (!window_.shows(position)) hidden += double{weights[static_cast<size_t>(position)]};
    return fmt::format("{:.0f} % of weight not shown", 100 * hidden);
  }

  OutputRow output() const {
    OutputRow o;
    const float* x = out_row(setup_, data_, at_.layer, at_.head, n_ - 1);
    o.row = row(Part::output, n_ - 1, x, config_.head_dim);
    o.scale = scales().out;
    o.title = fmt::format("output of head {}, row {}", at_.head, n_ - 1);
    if (x) o.values.assign(x, x + config_.head_dim);
    if (at_.beat == Beat::sum)
      if (const float* p = prob_row(data_, at_.layer, at_.head, n_ - 1, n_))
        for (int slot = 0; slot < window_.n_shown(); ++slot) o.v_tint.push_back(p[window_.position(slot)]);
    return o;
  }

  const Snapshot& snapshot_;
  const Setup& setup_;
  const ModelConfig& config_;
  const StepData& step_;
  const SideData& data_;
  const HeldRows& held_;  // in the layer that is shown
  const Mode side_;
  const Selection& at_;
  const int kv_head_;
  const Beat before_;
  const int n_;
  const TokenWindow window_;
  NeededRows needed_;  // without a cache
};

}  // namespace

PaneState build_pane(const Snapshot& snapshot, Mode side, const Selection& selection) {
  return PaneBuilder(snapshot, side, selection).build();
}

}  // namespace lastrow::view
