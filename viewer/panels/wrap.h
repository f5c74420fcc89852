// Places things of different widths side by side, row below row, as words in a paragraph.
#pragma once

#include <span>
#include <vector>

#include "viewer/draw/canvas.h"

namespace lastrow::ui {

struct Wrapped {
  std::vector<Rect> places;  // from (0, 0); each is as wide as asked, but at most as wide as the room
  int n_rows = 0;
  float height = 0;
};

/// gap: between neighbours, and between rows.
inline Wrapped wrap(std::span<const float> widths, float room, float row_height, float gap) {
  Wrapped out;
  float x = 0, y = 0;
  for (const float wanted : widths) {
    const float width = wanted < room ? wanted : room;
    if (x > 0 && x + width > room) {
      x = 0;
      y += row_height + gap;
    }
    if (x == 0) ++out.n_rows;
    out.places.push_back({x, y, x + width, y + row_height});
    x += width + gap;
  }
  out.height = out.n_rows == 0 ? 0 : y + row_height;
  return out;
}

}  // namespace lastrow::ui
