// The blocks of a pane: Q, K, V rows and the matrix of scores or weights, each row at its state.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

/// Values side by side in a rectangle, at most one cell a pixel: beyond that the largest magnitude of
/// each group stands for it. exponent: colours span ±2^exponent.
void draw_values(Canvas& canvas, const Rect& cells, const float* values, int n, int exponent, float opacity);

void draw_value_block(Panel& panel, const PaneLayout& layout, const view::ValueBlock& block);
/// An outline around the rows of K and V that are in the cache; beat append lets it grow.
void draw_cache_box(Panel& panel, const PaneLayout& layout, const view::PaneState& pane);
void draw_matrix(Panel& panel, const PaneLayout& layout, const view::PaneState& pane);

/// How far the i-th of n staggered rows has come when the beat has come to `progress`.
float staggered(float progress, int i, int n);
/// Slow at both ends.
float ease(float x);

}  // namespace lastrow::ui
