#include "viewer/draw/rect.h"

#include <algorithm>

namespace lastrow::ui {

Rect Rect::common(const Rect& r) const {
  return {std::max(x0, r.x0), std::max(y0, r.y0), std::min(x1, r.x1), std::min(y1, r.y1)};
}
Rect Rect::around(const Rect& r) const {
  return {std::min(x0, r.x0), std::min(y0, r.y0), std::max(x1, r.x1), std::max(y1, r.y1)};
}

Rect Rect::cut_top(float h) {
  const Rect part{x0, y0, x1, std::min(y1, y0 + h)};
  y0 = part.y1;
  return part;
}
Rect Rect::cut_bottom(float h) {
  const Rect part{x0, std::max(y0, y1 - h), x1, y1};
  y1 = part.y0;
  return part;
}
Rect Rect::cut_left(float w) {
  const Rect part{x0, y0, std::min(x1, x0 + w), y1};
  x0 = part.x1;
  return part;
}
Rect Rect::cut_right(float w) {
  const Rect part{std::max(x0, x1 - w), y0, x1, y1};
  x1 = part.x0;
  return part;
}

}  // namespace lastrow::ui
