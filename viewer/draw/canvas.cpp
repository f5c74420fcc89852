#include "viewer/draw/canvas.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "viewer/draw/text_log.h"
#include "viewer/imgui/versions.h"

namespace lastrow::ui {
namespace {

/// The length of the first line of `rest`: as many words as fit into max_width. If the first word alone is too
/// wide, the line takes all of `rest`.
size_t end_of_line(const Fonts& fonts, Type type, std::string_view rest, float max_width) {
  size_t end = rest.size();
  while (end > 0 && fonts.width(type, rest.substr(0, end)) > max_width) {
    const size_t blank = rest.rfind(' ', end - 1);
    end = blank == std::string_view::npos || blank == 0 ? 0 : blank;
  }
  return end == 0 ? rest.size() : end;
}

DrawnAt here(const ImDrawList& list, TextLog& log) { return {&list, list._Splitter._Current, log.order++}; }

}  // namespace

Canvas::Canvas(ImDrawList* list, const Colors& colors, const Fonts& fonts, float scale)
    : list_(list),
      colors_(colors),
      fonts_(fonts),
      scale_(scale),
      log_(static_cast<TextLog*>(ImGui::GetIO().UserData)) {
  list_->_FringeScale = 1 / scale;  // antialiased edges are one framebuffer pixel wide
}

float Canvas::snap(float x) const { return std::round(x * scale_) / scale_; }

void Canvas::fill(const Rect& r, ImU32 color) {
  if (r.empty() || (color & IM_COL32_A_MASK) == 0) return;
  list_->AddRectFilled({snap(r.x0), snap(r.y0)}, {snap(r.x1), snap(r.y1)}, color);
  if (log_ != nullptr) note_ground(r, color);
}

void Canvas::fill_round(const Rect& r, ImU32 color, float radius) {
  list_->AddRectFilled({snap(r.x0), snap(r.y0)}, {snap(r.x1), snap(r.y1)}, color, radius);
  if (log_ != nullptr) note_ground(r, color);
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
  add_frame(*list_, {snap(r.x0) + half, snap(r.y0) + half}, {snap(r.x1) - half, snap(r.y1) - half}, color,
            radius, thickness);
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
  const float size = fonts_.of(type).size;
  const Line drawn = put_line({at.x, at.y, FLT_MAX, at.y + size}, type, color, text, Align::left);
  if (log_ != nullptr) note_text(text, type, FLT_MAX, drawn, {});
  return drawn.place.width();
}

float Canvas::text_in(const Rect& r, Type type, ImU32 color, std::string_view text, Align align,
                      MayCut may_cut) {
  const Line drawn = put_line(r, type, color, text, align);
  if (log_ != nullptr) note_text(text, type, r.width(), drawn, may_cut);
  return drawn.place.width();
}

float Canvas::text_lines(const Rect& r, Type type, ImU32 color, std::string_view text, int max_lines,
                         float line_height, MayCut may_cut) {
  const std::string whole = fonts_.spelt(text);
  std::string_view rest = whole;
  Line all;
  float y = r.y0;
  for (int line = 0; line < max_lines && !rest.empty(); ++line) {
    const bool last = line + 1 == max_lines;
    const size_t end = last ? rest.size() : end_of_line(fonts_, type, rest, r.width());
    const Line drawn =
        put_line({r.x0, y, r.x1, y + line_height}, type, color, rest.substr(0, end), Align::left);
    all.place = line == 0 ? drawn.place : all.place.around(drawn.place);
    all.needed = std::max(all.needed, drawn.needed);
    all.shown += (line == 0 ? "" : " ") + drawn.shown;
    rest.remove_prefix(end);
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    y += line_height;
  }
  if (log_ != nullptr) note_text(text, type, r.width(), all, may_cut);
  return y - r.y0;
}

Canvas::Line Canvas::put_line(const Rect& r, Type type, ImU32 color, std::string_view text, Align align) {
  const TypeFace& face = fonts_.of(type);
  Line line;
  constexpr float kRounding = 0.25f;  // a rectangle as wide as its text may be a bit too narrow
  line.shown = fonts_.fit(type, text, r.width() + kRounding);
  const float width = fonts_.width(type, line.shown);
  line.needed = log_ == nullptr ? width : fonts_.width(type, fonts_.spelt(text));
  const float x = snap(align == Align::left    ? r.x0
                       : align == Align::right ? r.x1 - width
                                               : (r.x0 + r.x1 - width) / 2);
  const float y = snap((r.y0 + r.y1 - face.size) / 2);
  list_->AddText(face.font, face.size, {x, y}, color, line.shown.data(),
                 line.shown.data() + line.shown.size());
  line.place = {x, y, x + width, y + face.size};
  return line;
}

void Canvas::note_text(std::string_view text, Type type, float room, const Line& drawn, MayCut may_cut) {
  if (text.empty()) return;
  const ImVec2 clip0 = list_->GetClipRectMin(), clip1 = list_->GetClipRectMax();
  log_->texts.push_back({fonts_.spelt(text), drawn.shown, type, room, drawn.needed, drawn.place,
                         Rect{clip0.x, clip0.y, clip1.x, clip1.y}, may_cut.because, here(*list_, *log_)});
}

void Canvas::note_ground(const Rect& r, ImU32 color) {
  constexpr float kLeastSide = 8;  // a smaller rectangle cannot be the background of a text
  if ((color & IM_COL32_A_MASK) != IM_COL32_A_MASK || r.width() < kLeastSide || r.height() < kLeastSide)
    return;
  log_->grounds.push_back({r, here(*list_, *log_)});
}

}  // namespace lastrow::ui
