// An upright rectangle in logical pixels.
#pragma once

#include <imgui.h>

namespace lastrow::ui {

struct Rect {
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;

  float width() const { return x1 - x0; }
  float height() const { return y1 - y0; }
  ImVec2 center() const { return {(x0 + x1) / 2, (y0 + y1) / 2}; }
  bool empty() const { return x1 <= x0 || y1 <= y0; }
  bool contains(ImVec2 p) const { return p.x >= x0 && p.x < x1 && p.y >= y0 && p.y < y1; }
  bool contains(const Rect& r) const { return r.x0 >= x0 && r.y0 >= y0 && r.x1 <= x1 && r.y1 <= y1; }
  Rect inset(float by) const { return {x0 + by, y0 + by, x1 - by, y1 - by}; }
  Rect inset(float dx, float dy) const { return {x0 + dx, y0 + dy, x1 - dx, y1 - dy}; }
  Rect moved(float dx, float dy) const { return {x0 + dx, y0 + dy, x1 + dx, y1 + dy}; }
  /// The part that both have in common; empty() if there is none.
  Rect common(const Rect& r) const;
  /// The smallest rectangle around both.
  Rect around(const Rect& r) const;
  /// Cuts off a part and returns it; this rectangle keeps the rest.
  Rect cut_top(float height);
  Rect cut_bottom(float height);
  Rect cut_left(float width);
  Rect cut_right(float width);
};

}  // namespace lastrow::ui
