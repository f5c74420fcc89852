// Draws in logical pixels on one ImGui draw list: rectangles, lines and texts that stay sharp and never
// overflow. Panels draw everything through it.
#pragma once

#include <imgui.h>

#include <string>
#include <string_view>

#include "viewer/draw/fonts.h"
#include "viewer/draw/theme.h"

namespace lastrow::ui {

struct Rect {
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;

  float width() const { return x1 - x0; }
  float height() const { return y1 - y0; }
  ImVec2 center() const { return {(x0 + x1) / 2, (y0 + y1) / 2}; }
  bool empty() const { return x1 <= x0 || y1 <= y0; }
  bool contains(ImVec2 p) const { return p.x >= x0 && p.x < x1 && p.y >= y0 && p.y < y1; }
  Rect inset(float by) const { return {x0 + by, y0 + by, x1 - by, y1 - by}; }
  Rect inset(float dx, float dy) const { return {x0 + dx, y0 + dy, x1 - dx, y1 - dy}; }
  Rect moved(float dx, float dy) const { return {x0 + dx, y0 + dy, x1 + dx, y1 + dy}; }
  /// Cuts off a part and returns it; this rectangle keeps the rest.
  Rect cut_top(float height);
  Rect cut_bottom(float height);
  Rect cut_left(float width);
  Rect cut_right(float width);
};

enum class Align { left, center, right };

class Canvas {
 public:
  Canvas(ImDrawList* list, const Colors& colors, const Fonts& fonts, float scale);

  const Colors& colors() const { return colors_; }
  const Palette& hex() const { return colors_.hex(); }
  const Fonts& fonts() const { return fonts_; }
  ImDrawList* list() const { return list_; }
  float scale() const { return scale_; }
  /// The nearest boundary between two pixels of the framebuffer.
  float snap(float x) const;

  void fill(const Rect& r, ImU32 color);
  void fill_round(const Rect& r, ImU32 color, float radius);
  /// A frame inside the rectangle.
  void frame(const Rect& r, ImU32 color, float thickness = 1);
  void frame_round(const Rect& r, ImU32 color, float radius, float thickness = 1);
  /// A dashed frame inside the rectangle; gap_color, if given, fills the gaps.
  void dashed(const Rect& r, ImU32 color, float thickness, float on, float off, ImU32 gap_color = 0);
  void horizontal(float x0, float x1, float y, ImU32 color, float thickness = 1);
  void vertical(float x, float y0, float y1, ImU32 color, float thickness = 1);
  void line(ImVec2 a, ImVec2 b, ImU32 color, float thickness = 1);

  /// `at` is the top left corner. Returns the width.
  float text(ImVec2 at, Type type, ImU32 color, std::string_view text);
  /// Writes one line into the rectangle, centred vertically; a text that does not fit ends with "…". Returns
  /// the width.
  float text_in(const Rect& r, Type type, ImU32 color, std::string_view text, Align align = Align::left);
  /// Writes at most max_lines lines, broken at spaces; if the text is longer, the last line ends with "…".
  /// Returns the height used.
  float text_lines(const Rect& r, Type type, ImU32 color, std::string_view text, int max_lines,
                   float line_height);
  float width(Type type, std::string_view text) const { return fonts_.width(type, fonts_.spelt(text)); }

  void clip(const Rect& r) { list_->PushClipRect({r.x0, r.y0}, {r.x1, r.y1}, true); }
  void unclip() { list_->PopClipRect(); }

 private:
  ImDrawList* list_;
  const Colors& colors_;
  const Fonts& fonts_;
  float scale_;
};

}  // namespace lastrow::ui
