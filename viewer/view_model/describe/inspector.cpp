#include "viewer/view_model/describe/inspector.h"

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
  switch (target->part) {
    case Part::q:
    case Part::output:
      c.t = target->row;
      break;
    case Part::k:
    case Part::v:
      c.t = last;
      c.s = target->row;
      c.elbow = true;
      c.elbow_to = last;
      c.elbow_text = "used by this and every later row";
      break;
    case Part::score:
    case Part::weight:
      c.t = target->row;
      c.s = target->column;
      c.elbow = target->column <= target->row;
      c.elbow_to = c.elbow ? target->row : -1;
      if (c.elbow) c.elbow_text = "used by this and every later row";
      break;
    default:
      c.t = c.s = target->row;
  }
  return c;
}

}  // namespace lastrow::view
