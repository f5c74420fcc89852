#include "viewer/view_model/describe/overview.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/view_model/describe/held_rows.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/needed.h"
#include "viewer/view_model/describe/row_rule.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

using RowOf = const float* (*)(const Setup&, const SideData&, int layer, int head, int position);

/// The element with the largest magnitude in each bin of rows.
std::vector<float> largest_values(const Snapshot& snapshot, Mode side, const Selection& at, RowOf row_of,
                                  const Overview& o) {
  const SideData& data = snapshot.now->side(side);
  std::vector<float> out(static_cast<size_t>(o.bins) * static_cast<size_t>(o.head_dim), 0.0f);
  for (int bin = 0; bin < o.bins; ++bin) {
    float* to = out.data() + int64_t{bin} * o.head_dim;
    for (int position = o.first_token(bin); position < o.first_token(bin + 1); ++position) {
      const float* x = row_of(*snapshot.setup, data, at.layer, shown_kv_head(snapshot, at), position);
      for (int d = 0; x && d < o.head_dim; ++d)
        if (std::fabs(x[d]) > std::fabs(to[d])) to[d] = x[d];
    }
  }
  return out;
}

/// Marks the cells in which no query that the side fed sees a key.
void mark_unseen(const SideData& data, int layer, Overview& o) {
  const auto bins = static_cast<size_t>(o.bins);
  o.unseen.assign(bins * bins, true);
  const auto bin_of = [&](int position) {
    return static_cast<size_t>(((int64_t{position} + 1) * o.bins - 1) / o.n_tokens);
  };
  const bool all_there =
      data.held(layer).n_keys() == o.n_tokens;  // then an index is a position, and a range of them is one
  for (int t = data.first_position; t < o.n_tokens; ++t) {
    const auto row = o.unseen.begin() + static_cast<std::ptrdiff_t>(bin_of(t) * bins);
    const VisibleKeys seen = indices_seen(data, layer, t);
    for (const KeyRange range : {seen.range(0), seen.range(1)})
      if (all_there && range.begin < range.end)
        std::fill(row + static_cast<std::ptrdiff_t>(bin_of(range.begin)),
                  row + static_cast<std::ptrdiff_t>(bin_of(range.end - 1)) + 1, false);
    if (!all_there)
      for (const int s : keys_seen(data, layer, t)) row[static_cast<std::ptrdiff_t>(bin_of(s))] = false;
  }
}

}  // namespace

Overview build_overview(const Snapshot& snapshot, Mode side, const Selection& at) {
  const Setup& setup = *snapshot.setup;
  const SideData& data = snapshot.now->side(side);
  Overview o;
  o.n_tokens = snapshot.now->n_tokens;
  o.bins = std::min(o.n_tokens, ReducedWeights::kMaxBins);
  o.head_dim = setup.config().head_dim;
  if (const auto reduced = reduced_weights(setup, data, at.layer, at.head, o.n_tokens))
    o.weights = reduced->weights;
  else
    o.weights.assign(static_cast<size_t>(o.bins) * static_cast<size_t>(o.bins), 0.0f);
  o.k = largest_values(snapshot, side, at, k_row, o);
  o.v = largest_values(snapshot, side, at, v_row, o);
  const bool all_computed = side == Mode::recompute;
  const NeededRows needed = all_computed ? needed_rows(data, at.layer) : NeededRows{};
  mark_unseen(data, at.layer, o);
  const HeldRows& held = data.held(at.layer);
  const std::vector<PlacedRow>& there = reached(at.beat, Beat::keep) && !all_computed ? held.kept : held.keys;
  for (int bin = 0; bin < o.bins; ++bin) {
    const int position = o.first_token(bin + 1) - 1;
    bool stored = false, is_needed = !all_computed;
    for (int i = o.first_token(bin); i <= position; ++i) {
      stored = stored || index_of(there, i) >= 0;
      is_needed = is_needed || needed.outputs[static_cast<size_t>(i)];
    }
    o.stored.push_back(stored);
    o.rows.push_back(row_state({.side = side,
                                .part = reached(at.beat, Beat::softmax) ? Part::weight : Part::score,
                                .prefill = snapshot.now->prefill(),
                                .fed = position >= data.first_position,
                                .last_row = position == o.n_tokens - 1,
                                .needed = is_needed},
                               at.beat));
  }
  o.caption = fmt::format("All {}", plural(o.n_tokens, "token"));
  o.tooltip = "Drag the frame to choose the tokens that the rows above show.";
  if (o.bins < o.n_tokens)
    o.tooltip += fmt::format(
        " {} tokens share {} cells a side: the weights of a cell are added up, and of the "
        "values the one with the largest magnitude is shown.",
        o.n_tokens, o.bins);
  return o;
}

std::shared_ptr<const Overview> OverviewCache::get(const Snapshot& snapshot, Mode side, const Selection& at) {
  Entry& e = entries_[static_cast<size_t>(side)];
  const bool same =
      e.overview && e.step == snapshot.now && e.layer == at.layer && e.head == at.head && e.beat == at.beat;
  if (!same)
    e = {snapshot.now, at.layer, at.head, at.beat,
         std::make_shared<const Overview>(build_overview(snapshot, side, at))};
  return e.overview;
}

}  // namespace lastrow::view
