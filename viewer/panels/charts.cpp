#include "viewer/panels/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/draw/patterns.h"
#include "viewer/panels/blocks.h"

namespace lastrow::ui {
namespace {

using view::Beat;

/// How far beat `keep` has faded the scores and weights, 0 … 1.
float faded(const Panel& panel) { return panel.view.transport.beat == Beat::keep ? panel.progress : 0.0f; }

/// A bar in column s between two heights, given as fractions of the chart's height.
void draw_bar(Panel& panel, const PaneLayout& layout, const Rect& chart, int s, float from, float to,
              Hex color) {
  color = mix(color, panel.hex().pane, 0.5f * faded(panel));
  const Rect column = layout.column(s);
  const float inset = column.width() >= 12 ? 3.0f : column.width() >= 8 ? 1.0f : 0.0f;
  const float low = chart.y1 - std::min(from, to) * chart.height(),
              high = chart.y1 - std::max(from, to) * chart.height();
  const float top = std::min(high, low - 1);  // at least one pixel
  panel.canvas.fill({column.x0 + inset, top, column.x1 - inset, low}, panel.color(color));
}

/// Leaves out the middle if there is no room for all three.
void caption(Panel& panel, const Rect& r, const std::string& first, const std::string& middle,
             const std::string& last) {
  const std::string whole = first + middle + last;
  const bool fits = panel.canvas.width(Type::small, whole) <= r.width();
  panel.canvas.text_in(r, Type::small, panel.color(panel.hex().muted), fits ? whole : first + last);
}

void draw_score_bars(Panel& panel, const PaneLayout& layout, const view::LastRowBars& bars, float reveal) {
  const float top = std::max(0.0f, bars.largest_score), bottom = std::min(0.0f, bars.smallest_score);
  const float span = std::max(1e-6f, top - bottom), zero = -bottom / span;
  const Rect& chart = layout.score_bars;
  const float axis = chart.y1 - zero * chart.height();
  panel.canvas.horizontal(layout.column(layout.first_column).x0, chart.x1, axis,
                          panel.color(panel.hex().line));
  for (int s = layout.first_column; s < layout.first_column + layout.n_columns; ++s) {
    const float score = bars.scores[static_cast<size_t>(s)];
    if (!std::isfinite(score) || static_cast<float>(s) >= reveal * static_cast<float>(layout.n_tokens))
      continue;
    draw_bar(panel, layout, chart, s, zero, zero + score / span,
             score < 0 ? panel.hex().negative : panel.hex().positive);
  }
}

void draw_weight_bars(Panel& panel, const PaneLayout& layout, const view::LastRowBars& bars, float grown) {
  const Rect& chart = layout.weight_bars;
  panel.canvas.horizontal(layout.column(layout.first_column).x0, chart.x1, chart.y1,
                          panel.color(panel.hex().line));
  for (int s = layout.first_column; s < layout.first_column + layout.n_columns; ++s) {
    const float weight = bars.weights[static_cast<size_t>(s)];
    if (!std::isfinite(weight)) continue;
    draw_bar(panel, layout, chart, s, 0, std::clamp(weight, 0.0f, 1.0f) * grown, panel.hex().positive);
  }
}

/// Beat `sum`: a bar beside each V row shows how much of it goes into the output.
void draw_shares(Panel& panel, const PaneLayout& layout, const view::OutputRow& output) {
  constexpr float kRoom = 12;  // between V and the matrix
  for (int s = layout.first_row; s < layout.first_row + layout.n_rows; ++s) {
    const float weight = output.v_tint[static_cast<size_t>(s)];
    if (!std::isfinite(weight)) continue;
    const Rect row = layout.row(view::Part::v, s);
    const float half = std::min(row.height(), 16.0f) / 4, y = row.center().y;
    const float length =
        std::max(1.0f, kRoom * std::clamp(weight, 0.0f, 1.0f) * std::min(1.0f, panel.progress * 2));
    panel.canvas.fill({row.x1 + 1, y - half, row.x1 + 1 + length, y + half},
                      panel.color(panel.hex().positive));
  }
}

/// A frame for each V row moves down into the output row; its strength is the weight.
void draw_falling_rows(Panel& panel, const PaneLayout& layout, const view::OutputRow& output) {
  const float p = ease(std::min(1.0f, panel.progress * 1.4f));
  for (int s = layout.first_row; s < layout.first_row + layout.n_rows; ++s) {
    const float weight = output.v_tint[static_cast<size_t>(s)];
    if (!(weight >= 0.01f)) continue;
    const Rect from = layout.cells(view::Part::v, s);
    panel.canvas.frame(from.moved(0, (layout.output.y0 - from.y0) * p),
                       panel.color(panel.hex().positive, 0.3f + 0.7f * weight), 1 + 2 * weight);
  }
}

}  // namespace

void draw_bars(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  const view::LastRowBars& bars = pane.bars;
  const Beat beat = panel.view.transport.beat;
  if (bars.show_scores && bars.scores.size() == static_cast<size_t>(layout.n_tokens)) {
    const float reveal = beat == Beat::score ? panel.progress : 1.0f;
    caption(panel, layout.score_caption, "scores", fmt::format(" of row {}", pane.decides_row), "");
    draw_score_bars(panel, layout, bars, reveal);
  }
  if (bars.show_weights && bars.weights.size() == static_cast<size_t>(layout.n_tokens)) {
    const float grown = bars.morph ? ease(panel.progress) : 1.0f;
    caption(panel, layout.weight_caption, "weights", fmt::format(" of row {}", pane.decides_row),
            fmt::format(" · Σ = {:.3f}", bars.weight_sum));
    draw_weight_bars(panel, layout, bars, grown);
  }
}

void draw_output(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  const view::OutputRow& output = pane.output;
  if (output.v_tint.size() == static_cast<size_t>(layout.n_tokens)) {
    draw_shares(panel, layout, output);
    if (panel.progress < 1) draw_falling_rows(panel, layout, output);
  }
  if (output.row.is == view::State::not_yet || output.values.empty()) return;
  const bool arrives = output.row.was == view::State::not_yet;
  const float shown = arrives ? std::clamp((panel.progress - 0.6f) / 0.4f, 0.0f, 1.0f) : 1.0f;
  if (shown <= 0) return;
  const float opacity =
      shown * (output.row.opacity_was + (output.row.opacity - output.row.opacity_was) * panel.progress);
  const Rect& r = layout.output;
  panel.canvas.text_in(layout.output_title, Type::small, panel.color(panel.hex().muted), output.title,
                       Align::right);
  if (opacity <= 0.01f) return;
  draw_gutter(panel.canvas, {r.x0, r.y0, r.x0 + kGutter - 1, r.y1}, output.row.is, opacity);
  draw_values(panel.canvas, {r.x0 + kGutter, r.y0, r.x1, r.y1}, output.values.data(),
              static_cast<int>(output.values.size()), output.exponent, opacity);
  if (output.row.is == view::State::computed_now)
    panel.canvas.frame(r, panel.canvas.colors().state(view::State::computed_now, opacity), 2);
}

}  // namespace lastrow::ui
