#include "viewer/draw/patterns.h"

#include <algorithm>
#include <cmath>

#include "viewer/draw/icons.h"

namespace lastrow::ui {

void draw_stripes(Canvas& canvas, const Rect& r, ImU32 color, float period) {
  for (float y = std::ceil(r.y0 / period) * period; y < r.y1; y += period)
    canvas.fill({r.x0, y, r.x1, std::min(r.y1, y + period / 2)}, color);
}

void draw_dots(Canvas& canvas, const Rect& r, ImU32 color, float period) {
  const float size = period / 2;
  const int columns = static_cast<int>((r.width() + size) / period),
            rows = static_cast<int>((r.height() + size) / period);
  if (columns < 1 || rows < 1) return;
  const float x0 = r.x0 + (r.width() - static_cast<float>(columns) * period + size) / 2;
  const float y0 = r.y0 + (r.height() - static_cast<float>(rows) * period + size) / 2;
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column) {
      const float x = x0 + static_cast<float>(column) * period, y = y0 + static_cast<float>(row) * period;
      canvas.fill({x, y, x + size, y + size}, color);
    }
}

void draw_diagonals(Canvas& canvas, const Rect& r, ImU32 color, float period, float thickness) {
  // Lines x + y = k·period, each from where it enters r to where it leaves it. A clip rectangle would do the
  // same, but each one begins a new draw command.
  for (float k = std::floor((r.x0 + r.y0) / period) * period; k < r.x1 + r.y1 + period; k += period) {
    const float left = std::max(r.x0, k - r.y1), right = std::min(r.x1, k - r.y0);
    if (left < right) canvas.line({left, k - left}, {right, k - right}, color, thickness);
  }
}

void draw_crosses(Canvas& canvas, const Rect& r, ImU32 color, float period) {
  // Small × in a grid centred in r; at least one.
  const int columns = std::max(1, static_cast<int>(r.width() / (period + 2)));
  const int rows = std::max(1, static_cast<int>(r.height() / (period + 2)));
  const float half = std::min({period, r.width(), r.height()}) * 0.3f;
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < columns; ++column) {
      const float x = r.x0 + r.width() * (static_cast<float>(column) + 0.5f) / static_cast<float>(columns);
      const float y = r.y0 + r.height() * (static_cast<float>(row) + 0.5f) / static_cast<float>(rows);
      canvas.line({x - half, y - half}, {x + half, y + half}, color, 1);
      canvas.line({x - half, y + half}, {x + half, y - half}, color, 1);
    }
}

void draw_gutter(Canvas& canvas, const Rect& r, view::State state, float alpha) {
  const ImU32 color = canvas.colors().state(state, alpha);
  switch (state) {
    case view::State::computed_now:
      canvas.fill(r, color);
      return;
    case view::State::again_needed:
      draw_stripes(canvas, r, color, 4);
      return;
    case view::State::again_unused:
      draw_diagonals(canvas, r, color, 4, 1.5f);
      return;
    case view::State::from_cache:
      draw_dots(canvas, r, color, 4);
      return;
    default:
      return;
  }
}

void draw_masked(Canvas& canvas, const Rect& r, float strength) {
  draw_crosses(canvas, r, canvas.colors().state(view::State::masked, strength), 6);
}

void draw_broken(Canvas& canvas, const Rect& r) {
  canvas.fill(r, to_u32(canvas.hex().broken));
  const float half = std::min({r.width(), r.height(), 14.0f}) * 0.3f;
  if (half < 1) return;
  const ImVec2 c = r.center();
  const ImU32 white = to_u32(canvas.hex().on_broken);
  canvas.line({c.x - half, c.y - half}, {c.x + half, c.y + half}, white, 1.5f);
  canvas.line({c.x - half, c.y + half}, {c.x + half, c.y - half}, white, 1.5f);
}

void draw_poked(Canvas& canvas, const Rect& r) {
  canvas.dashed(r, IM_COL32(0, 0, 0, 255), 2, 4, 4, IM_COL32(255, 255, 255, 255));
  const float size = 14;
  const Rect badge{r.x0 - size / 2, (r.y0 + r.y1 - size) / 2, r.x0 + size / 2, (r.y0 + r.y1 + size) / 2};
  canvas.fill_round(badge, IM_COL32(0, 0, 0, 255), 3);
  draw_icon(canvas, badge.inset(2), Icon::pencil, IM_COL32(255, 255, 255, 255));
}

}  // namespace lastrow::ui
