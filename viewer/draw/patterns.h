// Patterns that show the state of a row or cell. They never hide its value.
#pragma once

#include "viewer/draw/canvas.h"

namespace lastrow::ui {

constexpr float kGutter = 8;  // width of the state mark at the left of a row

/// The gutter of a row: solid, stripes, diagonals, dots, or nothing, as the state demands.
void draw_gutter(Canvas& canvas, const Rect& r, view::State state, float alpha = 1);

/// The pattern of a masked cell, in the matrix and in the legend. strength: 0 … 1.
void draw_masked(Canvas& canvas, const Rect& r, float strength = 1);

/// Diagonal lines over values that nothing uses. The lines continue from one rectangle to the next.
void draw_diagonals(Canvas& canvas, const Rect& r, ImU32 color, float period, float thickness);
void draw_crosses(Canvas& canvas, const Rect& r, ImU32 color, float period);
void draw_dots(Canvas& canvas, const Rect& r, ImU32 color, float period);
void draw_stripes(Canvas& canvas, const Rect& r, ImU32 color, float period);

/// A NaN or ∞: a black cell with a white ×.
void draw_broken(Canvas& canvas, const Rect& r);
/// A poked row: black-and-white dashes, and a pencil at its left end.
void draw_poked(Canvas& canvas, const Rect& r);

}  // namespace lastrow::ui
