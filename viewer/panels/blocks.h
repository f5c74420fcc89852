// The blocks of a pane: the rows of Q, K and V, and the matrix of scores or weights.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

/// Draws values side by side in a rectangle. If there are more values than pixels, one cell stands for a
/// group and shows its largest magnitude.
void draw_values(Canvas& canvas, const Rect& cells, const float* values, int n, const view::ValueScale& scale,
                 float opacity);

void draw_value_block(Panel& panel, const PaneLayout& layout, const view::ValueBlock& block);
/// An outline around the rows of K and V that are in the cache. It grows in beat `append`.
void draw_cache_box(Panel& panel, const PaneLayout& layout, const view::PaneState& pane);
void draw_matrix(Panel& panel, const PaneLayout& layout, const view::PaneState& pane);

/// The progress of row i of n rows that appear one after the other, when the beat is at `progress`.
float staggered(float progress, int i, int n);
/// 0 … 1 to 0 … 1, slow at both ends.
float ease(float x);

}  // namespace lastrow::ui
