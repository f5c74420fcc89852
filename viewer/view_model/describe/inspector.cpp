#include "viewer/view_model/describe/inspector.h"

#include "viewer/view_model/describe/forgetting.h"
#include "viewer/view_model/describe/held_rows.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/pinned.h"
#include "viewer/view_model/describe/target_text.h"
#include "viewer/view_model/describe/worked_example.h"

namespace lastrow::view {

Inspector build_inspector(const Snapshot& snapshot, const Selection& at) {
  Inspector out;
  out.example = build_worked_example(snapshot, at);
  if (at.hovered && target_exists(snapshot, *at.hovered)) {
    out.hovered = at.hovered;
    out.hover_title = target_title(snapshot, at, *at.hovered);
    out.hover_line = target_line(snapshot, at, *at.hovered);
  }
  if (at.pinned && target_exists(snapshot, *at.pinned)) out.pinned = build_pinned(snapshot, at, *at.pinned);
  return out;
}

Crosshair build_crosshair(const Snapshot& snapshot, const Selection& at) {
  Crosshair c;
  const std::optional<Target>& target = at.hovered ? at.hovered : at.pinned;
  if (!target || !target_exists(snapshot, *target)) return c;
  const int last = snapshot.now->n_tokens - 1;
  const SideData& d = snapshot.now->side(target->side);
  switch (target->part) {
    case Part::q:
    case Part::output:
      c.t = target->row;
      break;
    case Part::k:
    case Part::v:
      c.t = last;
      c.s = target->row;
      c.elbow = key_use(d, at.layer, last, target->row) == KeyUse::seen;
      c.elbow_to = last;
      if (c.elbow) c.elbow_text = use_text(snapshot, target->side, at.layer, target->row);
      break;
    case Part::score:
    case Part::weight:
      c.t = target->row;
      c.s = target->column;
      c.elbow = target->row >= d.first_position
                    ? key_use(d, at.layer, target->row, target->column) == KeyUse::seen
                    : index_of(d.held(at.layer).keys, target->column) >= 0 && target->column <= target->row;
      c.elbow_to = c.elbow ? target->row : -1;
      if (c.elbow) c.elbow_text = use_text(snapshot, target->side, at.layer, target->column);
      break;
    default:
      c.t = c.s = target->row;
  }
  return c;
}

}  // namespace lastrow::view
