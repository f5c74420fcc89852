// Icons, drawn as shapes because the fonts have no such signs.
#pragma once

#include "viewer/draw/canvas.h"

namespace lastrow::ui {

enum class Icon {
  play,
  pause,
  next_beat,
  previous_beat,
  next_step,
  previous_step,
  first,
  last,
  pencil,
  folder,
  restore,
  copy,
  camera,
  half_moon,
  lecture,
  full_screen,
  question,
  up,
  down,
  close
};

/// Draws the icon in a square in the middle of the rectangle.
void draw_icon(Canvas& canvas, const Rect& r, Icon icon, ImU32 color);

}  // namespace lastrow::ui
