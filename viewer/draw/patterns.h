// Overlays that say a row's or cell's state; they never hide the value below.
#pragma once

#include "viewer/draw/canvas.h"

namespace lastrow::ui {

constexpr float kGutter = 8;  // width of the state mark left of a row

/// The gutter of a row: solid, stripes, diagonals, dots, crosses, or nothing where the state has none.
void draw_gutter(Canvas& canvas, const Rect& r, view::State state, float alpha = 1);

/// Diagonal lines over values that were computed for nothing. Lines go on from one rectangle to the next.
void draw_diagonals(Canvas& canvas, const Rect& r, ImU32 color, float period, float thickness);
void draw_crosses(Canvas& canvas, const Rect& r, ImU32 color, float period);
void draw_dots(Canvas& canvas, const Rect& r, ImU32 color, float period);
void draw_stripes(Canvas& canvas, const Rect& r, ImU32 color, float period);

/// Not a number, or infinite: a black cell with a white ×.
void draw_broken(Canvas& canvas, const Rect& r);
/// A poked row: black-and-white dashes, and a pencil at its left end.
void draw_poked(Canvas& canvas, const Rect& r);

}  // namespace lastrow::ui
