#include "viewer/draw/canvas.h"

#include <algorithm>
#include <cmath>

namespace lastrow::ui {

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

Canvas::Canvas(ImDrawList* list, const Colors& colors, const Fonts& fonts, float scale)
    : list_(list), colors_(colors), fonts_(fonts), scale_(scale) {
  list_->_FringeScale = 1 / scale;  // antialiased edges are one framebuffer pixel wide
}

float Canvas::snap(float x) const { return std::round(x * scale_) / scale_; }

void Canvas::fill(const Rect& r, ImU32 color) {
  if (r.empty() || (color & IM_COL32_A_MASK) == 0) return;
  list_->AddRectFilled({snap(r.x0), snap(r.y0)}, {snap(r.x1), snap(r.y1)}, color);
}

void Canvas::fill_round(const Rect& r, ImU32 color, float radius) {
  list_->AddRectFilled({snap(r.x0), snap(r.y0)}, {snap(r.x1), snap(r.y1)}, color, radius);
}

void Canvas::frame(const Rect& r, ImU32 color, float thickness) {
  const float t = std::max(snap(thickness), 1 / scale_);
  fill({r.x0, r.y0, r.x1, r.y0 + t}, color);
  fill({r.x0, r.y1 - t, r.x1, r.y1}, color);
  fill({r.x0, r.y0 + t, r.x0 + t, r.y1 - t}, color);
  fill({r.x1 - t, r.y0 + t, r.x1, r.y1 - t}, color);
}

void Canvas::frame_round(const Rect& r, ImU32 color, float radius, float thickness) {
  const float half = thickness / 2;
  list_->AddRect({snap(r.x0) + half, snap(r.y0) + half}, {snap(r.x1) - half, snap(r.y1) - half}, color,
                 radius, 0, thickness);
}

void Canvas::dashed(const Rect& r, ImU32 color, float thickness, float on, float off, ImU32 gap_color) {
  if (gap_color != 0) frame(r, gap_color, thickness);
  const float period = on + off;
  for (float x = r.x0; x < r.x1; x += period) {
    const float end = std::min(x + on, r.x1);
    fill({x, r.y0, end, r.y0 + thickness}, color);
    fill({x, r.y1 - thickness, end, r.y1}, color);
  }
  for (float y = r.y0; y < r.y1; y += period) {
    const float end = std::min(y + on, r.y1);
    fill({r.x0, y, r.x0 + thickness, end}, color);
    fill({r.x1 - thickness, y, r.x1, end}, color);
  }
}

void Canvas::horizontal(float x0, float x1, float y, ImU32 color, float thickness) {
  const float top = snap(y - thickness / 2);
  fill({std::min(x0, x1), top, std::max(x0, x1), top + thickness}, color);
}

void Canvas::vertical(float x, float y0, float y1, ImU32 color, float thickness) {
  const float left = snap(x - thickness / 2);
  fill({left, std::min(y0, y1), left + thickness, std::max(y0, y1)}, color);
}

void Canvas::line(ImVec2 a, ImVec2 b, ImU32 color, float thickness) {
  list_->AddLine(a, b, color, thickness);
}

float Canvas::text(ImVec2 at, Type type, ImU32 color, std::string_view text) {
  const TypeFace& face = fonts_.of(type);
  const std::string spelt = fonts_.spelt(text);
  list_->AddText(face.font, face.size, {snap(at.x), snap(at.y)}, color, spelt.data(),
                 spelt.data() + spelt.size());
  return fonts_.width(type, spelt);
}

float Canvas::text_in(const Rect& r, Type type, ImU32 color, std::string_view text, Align align) {
  const std::string fitting = fonts_.fit(type, text, r.width());
  const TypeFace& face = fonts_.of(type);
  const float w = fonts_.width(type, fitting);
  const float x = align == Align::left ? r.x0 : align == Align::right ? r.x1 - w : (r.x0 + r.x1 - w) / 2;
  const float y = (r.y0 + r.y1 - face.size) / 2;
  list_->AddText(face.font, face.size, {snap(x), snap(y)}, color, fitting.data(),
                 fitting.data() + fitting.size());
  return w;
}

float Canvas::text_lines(const Rect& r, Type type, ImU32 color, std::string_view text, int max_lines,
                         float line_height) {
  const std::string whole = fonts_.spelt(text);
  std::string_view rest = whole;
  float y = r.y0;
  for (int line = 0; line < max_lines && !rest.empty(); ++line) {
    size_t end = rest.size();
    if (line + 1 < max_lines) {
      while (end > 0 && fonts_.width(type, rest.substr(0, end)) > r.width()) {
        const size_t blank = rest.rfind(' ', end - 1);
        end = blank == std::string_view::npos || blank == 0 ? 0 : blank;
      }
      if (end == 0) end = rest.size();  // one long word; text_in cuts it
    }
    text_in({r.x0, y, r.x1, y + line_height}, type, color, rest.substr(0, end));
    rest.remove_prefix(end);
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    y += line_height;
  }
  return y - r.y0;
}

}  // namespace lastrow::ui
