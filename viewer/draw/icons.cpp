#include "viewer/draw/icons.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "viewer/imgui/versions.h"

namespace lastrow::ui {
namespace {

/// Draws in a unit square laid over the icon's place.
class Pen {
 public:
  Pen(Canvas& canvas, const Rect& r, ImU32 color) : canvas_(canvas), color_(color) {
    size_ = std::min(r.width(), r.height());
    x0_ = (r.x0 + r.x1 - size_) / 2;
    y0_ = (r.y0 + r.y1 - size_) / 2;
  }
  ImVec2 at(float x, float y) const { return {x0_ + x * size_, y0_ + y * size_}; }
  float stroke() const { return std::max(1.5f, size_ * 0.1f); }

  void triangle(ImVec2 a, ImVec2 b, ImVec2 c) {
    canvas_.list()->AddTriangleFilled(at(a.x, a.y), at(b.x, b.y), at(c.x, c.y), color_);
  }
  void right(float x0, float x1) { triangle({x0, 0.12f}, {x1, 0.5f}, {x0, 0.88f}); }
  void left(float x0, float x1) { triangle({x1, 0.12f}, {x1, 0.88f}, {x0, 0.5f}); }
  void bar(float x0, float y0, float x1, float y1) {
    const ImVec2 a = at(x0, y0), b = at(x1, y1);
    canvas_.fill({a.x, a.y, b.x, b.y}, color_);
  }
  void line(float x0, float y0, float x1, float y1) {
    canvas_.line(at(x0, y0), at(x1, y1), color_, stroke());
  }
  void box(float x0, float y0, float x1, float y1) {
    const ImVec2 a = at(x0, y0), b = at(x1, y1);
    canvas_.frame_round({a.x, a.y, b.x, b.y}, color_, size_ * 0.1f, stroke());
  }
  void circle(float x, float y, float radius) {
    canvas_.list()->AddCircle(at(x, y), radius * size_, color_, 0, stroke());
  }
  void arc(float x, float y, float radius, float from, float to) {
    canvas_.list()->PathArcTo(at(x, y), radius * size_, from, to, 24);
    stroke_path(*canvas_.list(), color_, stroke());
  }
  void half_disc(float x, float y, float radius) {
    constexpr float kHalf = std::numbers::pi_v<float> / 2;
    canvas_.list()->PathArcTo(at(x, y), radius * size_, -kHalf, kHalf, 24);
    canvas_.list()->PathFillConvex(color_);
  }
  void quad(ImVec2 a, ImVec2 b, ImVec2 c, ImVec2 d) {
    canvas_.list()->AddQuadFilled(at(a.x, a.y), at(b.x, b.y), at(c.x, c.y), at(d.x, d.y), color_);
  }
  void letter(const char* text) {
    const ImVec2 a = at(0, 0), b = at(1, 1);
    canvas_.text_in({a.x - 4, a.y, b.x + 4, b.y}, Type::label_bold, color_, text, Align::center);
  }

 private:
  Canvas& canvas_;
  ImU32 color_;
  float size_, x0_, y0_;
};

void draw_transport(Pen& pen, Icon icon) {
  switch (icon) {
    case Icon::play:
      return pen.right(0.2f, 0.9f);
    case Icon::pause:
      pen.bar(0.2f, 0.12f, 0.4f, 0.88f);
      return pen.bar(0.6f, 0.12f, 0.8f, 0.88f);
    case Icon::next_beat:
      return pen.right(0.3f, 0.8f);
    case Icon::previous_beat:
      return pen.left(0.2f, 0.7f);
    case Icon::next_step:
      pen.right(0.02f, 0.5f);
      return pen.right(0.5f, 0.98f);
    case Icon::previous_step:
      pen.left(0.02f, 0.5f);
      return pen.left(0.5f, 0.98f);
    case Icon::first:
      pen.bar(0.1f, 0.12f, 0.24f, 0.88f);
      return pen.left(0.3f, 0.92f);
    default:
      pen.right(0.08f, 0.7f);
      return pen.bar(0.76f, 0.12f, 0.9f, 0.88f);
  }
}

}  // namespace

void draw_icon(Canvas& canvas, const Rect& r, Icon icon, ImU32 color) {
  constexpr float kPi = std::numbers::pi_v<float>;
  Pen pen(canvas, r, color);
  switch (icon) {
    case Icon::pencil:
      pen.quad({0.66f, 0.04f}, {0.96f, 0.34f}, {0.42f, 0.88f}, {0.12f, 0.58f});
      return pen.triangle({0.08f, 0.66f}, {0.34f, 0.92f}, {0.0f, 1.0f});
    case Icon::folder:
      pen.box(0.02f, 0.26f, 0.98f, 0.88f);
      return pen.bar(0.06f, 0.14f, 0.46f, 0.28f);
    case Icon::restore:
      pen.arc(0.5f, 0.54f, 0.36f, -0.5f * kPi, 1.1f * kPi);
      return pen.triangle({0.5f, -0.02f}, {0.5f, 0.38f}, {0.2f, 0.18f});
    case Icon::copy:
      pen.box(0.1f, 0.28f, 0.66f, 0.94f);
      pen.line(0.34f, 0.11f, 0.9f, 0.11f);
      return pen.line(0.85f, 0.06f, 0.85f, 0.72f);
    case Icon::camera:
      pen.box(0.02f, 0.24f, 0.98f, 0.88f);
      pen.circle(0.5f, 0.56f, 0.17f);
      return pen.bar(0.32f, 0.12f, 0.68f, 0.28f);
    case Icon::half_moon:
      pen.circle(0.5f, 0.5f, 0.4f);
      return pen.half_disc(0.5f, 0.5f, 0.4f);
    case Icon::lecture:  // a screen on a stand
      pen.line(0.04f, 0.12f, 0.96f, 0.12f);
      pen.line(0.12f, 0.12f, 0.12f, 0.66f);
      pen.line(0.88f, 0.12f, 0.88f, 0.66f);
      pen.line(0.12f, 0.66f, 0.88f, 0.66f);
      pen.line(0.5f, 0.66f, 0.28f, 0.94f);
      return pen.line(0.5f, 0.66f, 0.72f, 0.94f);
    case Icon::full_screen:
      for (const float x : {0.08f, 0.92f})
        for (const float y : {0.12f, 0.88f}) {
          const float dx = x < 0.5f ? 0.28f : -0.28f, dy = y < 0.5f ? 0.28f : -0.28f;
          pen.line(x, y, x + dx, y);
          pen.line(x, y, x, y + dy);
        }
      return;
    case Icon::question:
      return pen.letter("?");
    case Icon::up:
      pen.line(0.2f, 0.65f, 0.52f, 0.33f);
      return pen.line(0.48f, 0.33f, 0.8f, 0.65f);
    case Icon::down:
      pen.line(0.2f, 0.35f, 0.52f, 0.67f);
      return pen.line(0.48f, 0.67f, 0.8f, 0.35f);
    case Icon::close:
      pen.line(0.2f, 0.2f, 0.8f, 0.8f);
      return pen.line(0.2f, 0.8f, 0.8f, 0.2f);
    default:
      return draw_transport(pen, icon);
  }
}

}  // namespace lastrow::ui
