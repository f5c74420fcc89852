#include "viewer/view_model/describe/legend.h"

#include <fmt/format.h>

#include "viewer/view_model/describe/forgetting.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

/// The signs that stand beside some row.
std::vector<std::pair<std::string, std::string>> signs_beside_rows(const std::array<PaneState, 2>& panes) {
  bool same = false, rounding = false;
  for (const PaneState& pane : panes)
    for (const ValueBlock* block : {&pane.q, &pane.k, &pane.v})
      for (const Row& row : block->rows) {
        same = same || row.repeat == Repeat::same_bits;
        rounding = rounding || row.repeat == Repeat::rounding;
      }
  std::vector<std::pair<std::string, std::string>> marks;
  if (same) marks.emplace_back("=", "same as last step");
  if (rounding) marks.emplace_back("≈", "same up to rounding");
  return marks;
}

}  // namespace

Legend build_legend(const Snapshot& snapshot, const Selection& at, const std::array<PaneState, 2>& panes) {
  const LayerScales& s = snapshot.setup->scales[static_cast<size_t>(at.layer)];
  Legend out;
  out.states = {{State::computed_now, "computed now", "This step computed the row, for the first time."},
                {State::again_needed, "computed again, needed",
                 "An earlier step has computed the row already, but nothing kept it. This step needs it."},
                {State::again_unused, "computed again, unused",
                 "An earlier step has computed the row already, and nothing in this step needs it."},
                {State::from_cache, "read from cache",
                 "An earlier step computed the row and kept it. This step only reads it."},
                {State::masked, "masked",
                 "The key comes after the query, or before its window, so its weight is exactly 0."},
                {State::absent, "absent", "The row is neither computed in this step nor stored."}};
  if (forgets(*snapshot.setup))
    out.states.push_back(
        {State::not_stored, "not stored",
         "The cache has forgotten the row. No query reads it any more, and its slot is free for "
         "another row."});
  out.value_scale = fmt::format("Q ±{} · K ±{} · V ±{} · scores ±{} · out ±{}", rough(double{s.q.largest}),
                                rough(double{s.k.largest}), rough(double{s.v.largest}),
                                rough(double{s.score.largest}), rough(double{s.out.largest}));
  out.scale_tooltip =
      "Purple is negative, green is positive. Colours grow with asinh, so that small values can "
      "be seen beside large ones. The scale is the same in both panes and in every step.";
  out.marks = signs_beside_rows(panes);
  return out;
}

}  // namespace lastrow::view
