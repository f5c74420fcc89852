// Draws in logical pixels on one ImGui draw list: rectangles, lines and texts that stay sharp and never
// overflow. Panels draw everything through it.
//
// Give every text the room it needs. A test measures all texts in many states of the screen, and fails if one
// is cut off (text_log.h). If a text may be cut, the call says why: MayCut{"the tooltip has all of it"}.
#pragma once

#include <imgui.h>

#include <string>
#include <string_view>

#include "viewer/draw/fonts.h"
#include "viewer/draw/rect.h"
#include "viewer/draw/theme.h"

namespace lastrow::ui {

struct TextLog;

enum class Align { left, center, right };

/// Why a text may end with "…". By default it may not.
struct MayCut {
  const char* because = nullptr;
};

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
  /// Writes one line into the rectangle, centred vertically;
  /// a text that does not fit ends with "…". Returns the width.
  float text_in(const Rect& r, Type type, ImU32 color, std::string_view text, Align align = Align::left,
                MayCut may_cut = {});
  /// Writes at most max_lines lines, broken at spaces; if the text is longer, the last line ends with "…".
  /// Returns the height used.
  float text_lines(const Rect& r, Type type, ImU32 color, std::string_view text, int max_lines,
                   float line_height, MayCut may_cut = {});
  float width(Type type, std::string_view text) const { return fonts_.width(type, fonts_.spelt(text)); }

  void clip(const Rect& r) { list_->PushClipRect({r.x0, r.y0}, {r.x1, r.y1}, true); }
  void unclip() { list_->PopClipRect(); }

 private:
  struct Line {  // of text, as it was drawn
    std::string shown;
    float needed = 0;  // the width of all of it
    Rect place;
  };
  Line put_line(const Rect& r, Type type, ImU32 color, std::string_view text, Align align);
  void note_text(std::string_view text, Type type, float room, const Line& drawn, MayCut may_cut);
  void note_ground(const Rect& r, ImU32 color);

  ImDrawList* list_;
  const Colors& colors_;
  const Fonts& fonts_;
  float scale_;
  TextLog* log_;  // null, except in tests
};

}  // namespace lastrow::ui
