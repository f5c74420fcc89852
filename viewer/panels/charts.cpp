#include "viewer/panels/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "viewer/draw/patterns.h"
#include "viewer/panels/blocks.h"

namespace lastrow::ui {
namespace {

using view::Beat;

constexpr float kNameHeight = 15;  // a line of the names of keys

/// How far beat `keep` has faded the scores and weights, 0 … 1.
float faded(const Panel& panel) { return panel.view.transport.beat == Beat::keep ? panel.progress : 0.0f; }

/// Bar i of a chart between two heights, given as fractions of the chart's height.
void draw_bar(Panel& panel, const PaneLayout& layout, const Rect& chart, int i, float from, float to,
              Hex color) {
  color = mix(color, panel.hex().pane, 0.5f * faded(panel));
  const Rect place = layout.bar(chart, i);
  const float inset = place.width() >= 12 ? 3.0f : place.width() >= 8 ? 1.0f : 0.0f;
  const float low = chart.y1 - std::min(from, to) * chart.height(),
              high = chart.y1 - std::max(from, to) * chart.height();
  const float top = std::min(high, low - 1);  // at least one pixel
  panel.canvas.fill({place.x0 + inset, top, place.x1 - inset, low}, panel.color(color));
}

/// The value of a bar that stands for several keys: the largest score, or the sum of the weights.
float largest_of(const std::vector<float>& values, std::pair<int, int> keys) {
  return *std::max_element(values.begin() + keys.first, values.begin() + keys.second + 1);
}
float sum_of(const std::vector<float>& values, std::pair<int, int> keys) {
  return std::accumulate(values.begin() + keys.first, values.begin() + keys.second + 1, 0.0f);
}

/// Whether the row that decides sees any key of a bar. The others are masked or not stored.
bool any_seen(const view::LastRowBars& bars, std::pair<int, int> keys) {
  return std::find(bars.seen.begin() + keys.first, bars.seen.begin() + keys.second + 1, true) !=
         bars.seen.begin() + keys.second + 1;
}

/// Writes their values above the largest bars, as many as fit side by side.
void label_bars(Panel& panel, const PaneLayout& layout, const Rect& chart, const std::vector<float>& bars,
                const std::vector<float>& tops) {
  std::vector<int> order;
  for (int i = 0; i < layout.n_bars(); ++i)
    if (std::isfinite(bars[static_cast<size_t>(i)])) order.push_back(i);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    return std::abs(bars[static_cast<size_t>(a)]) > std::abs(bars[static_cast<size_t>(b)]);
  });
  constexpr size_t kLabels = 12;
  constexpr float kHeight = 13;
  std::vector<Rect> taken;
  for (size_t rank = 0; rank < std::min(order.size(), kLabels); ++rank) {
    const auto i = static_cast<size_t>(order[rank]);
    const std::string text = fmt::format("{:.{}f}", bars[i], std::abs(bars[i]) < 9.95f ? 2 : 1);
    const float width = panel.canvas.width(Type::mono_small, text);
    const Rect bar = layout.bar(chart, order[rank]);
    const float x = std::clamp(bar.center().x - width / 2, chart.x0, std::max(chart.x0, chart.x1 - width));
    const float y = chart.y1 - std::max(tops[i] * chart.height(), 1.0f) - kHeight;
    const Rect place{x, y, x + width, y + kHeight};
    const auto below = [&](int other) {  // the bars beside it end below the number
      const Rect r = layout.bar(chart, other);
      return r.x1 <= place.x0 || r.x0 >= place.x1 ||
             chart.y1 - tops[static_cast<size_t>(other)] * chart.height() >= place.y1 - 2;
    };
    bool free = true;
    for (int other = 0; other < layout.n_bars() && free; ++other) free = below(other);
    free = free && std::none_of(taken.begin(), taken.end(), [&](const Rect& other) {
             return place.x0 < other.x1 + 3 && other.x0 < place.x1 + 3;
           });
    if (!free) continue;
    taken.push_back(place);
    panel.canvas.text({place.x0, place.y0}, Type::mono_small,
                      panel.color(mix(panel.hex().text, panel.hex().pane, 0.5f * faded(panel))), text);
  }
}

/// The room for bars, with a line for numbers above the highest one.
Rect below_labels(const Rect& chart) {
  constexpr float kLine = 12, kLeast = 30;
  return {chart.x0, chart.height() < kLeast ? chart.y0 : chart.y0 + kLine, chart.x1, chart.y1};
}

/// A bracket under the bars of the tokens that are shown.
void mark_window(Panel& panel, const PaneLayout& layout, const Rect& chart) {
  if (layout.window.whole()) return;
  const int n = layout.n_bars();
  const auto x_of = [&](int token) {
    return layout.bar(chart, static_cast<int>(int64_t{token} * n / layout.window.n_tokens)).x0;
  };
  const float x0 = x_of(layout.window.first),
              x1 = std::max(x0 + 3, x_of(layout.window.first + layout.window.n - 1));
  panel.canvas.fill({x0, chart.y1 + 1, x1, chart.y1 + 3}, panel.color(panel.hex().accent));
}

void draw_score_bars(Panel& panel, const PaneLayout& layout, const view::LastRowBars& bars, float reveal) {
  const float top = std::max(0.0f, bars.largest_score), bottom = std::min(0.0f, bars.smallest_score);
  const Rect& all = layout.score_bars;
  const Rect chart = below_labels(all);
  const float span = std::max(1e-6f, top - bottom), zero = -bottom / span;
  panel.canvas.horizontal(layout.bar(chart, 0).x0, chart.x1, chart.y1 - zero * chart.height(),
                          panel.color(panel.hex().line));
  const int n = layout.n_bars();
  std::vector<float> values, tops;
  for (int i = 0; i < n; ++i) {
    const bool shown =
        static_cast<float>(i) < reveal * static_cast<float>(n) && any_seen(bars, layout.keys_of_bar(i));
    const float score = shown ? largest_of(bars.scores, layout.keys_of_bar(i)) : NAN;
    values.push_back(score);
    tops.push_back(zero + std::max(0.0f, score) / span);
    if (std::isfinite(score))
      draw_bar(panel, layout, chart, i, zero, zero + score / span,
               score < 0 ? panel.hex().negative : panel.hex().positive);
  }
  if (reveal >= 1 && chart.y0 > all.y0) label_bars(panel, layout, chart, values, tops);
}

void draw_weight_bars(Panel& panel, const PaneLayout& layout, const view::LastRowBars& bars, float grown) {
  const Rect& all = layout.weight_bars;
  const Rect chart = below_labels(all);
  panel.canvas.horizontal(layout.bar(chart, 0).x0, chart.x1, chart.y1, panel.color(panel.hex().line));
  std::vector<float> values, tops;
  for (int i = 0; i < layout.n_bars(); ++i) {
    const std::pair<int, int> keys = layout.keys_of_bar(i);
    values.push_back(any_seen(bars, keys) ? sum_of(bars.weights, keys) : NAN);
    tops.push_back(
        std::isfinite(values.back()) ? std::clamp(values.back() / bars.weight_top, 0.0f, 1.0f) * grown : 0);
    if (std::isfinite(values.back())) draw_bar(panel, layout, chart, i, 0, tops.back(), panel.hex().positive);
  }
  if (grown >= 1 && chart.y0 > all.y0) label_bars(panel, layout, chart, values, tops);
  mark_window(panel, layout, chart);
}

/// Writes under a column of the matrix which key it is. Returns the place of the text.
Rect draw_key_name(Panel& panel, const PaneLayout& layout, int s, const std::string& text, float y,
                   bool decides) {
  const float width = panel.canvas.width(Type::small, text);
  const float x =
      std::clamp(layout.column(s).center().x - width / 2, layout.matrix.x0 - 6, layout.rows.x1 - width);
  panel.canvas.text({x, y}, Type::small, panel.color(decides ? panel.hex().text : panel.hex().muted), text);
  return {x, y, x + width, y + kNameHeight};
}

/// The positions of the keys at even distances: 0, 2, 4 … or 0, 5, 10 …; and always that of the row that decides.
void draw_key_positions(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  constexpr float kGap = 7;
  const int last = pane.decides_row;
  const float needed = panel.canvas.width(Type::small, std::to_string(last)) + kGap;
  int every = 0;
  for (const int distance : {1, 2, 5, 10, 20, 50})
    if (every == 0 && static_cast<float>(distance) * layout.column_width >= needed) every = distance;
  const float y = layout.names.y0;
  const Rect end = draw_key_name(panel, layout, last, std::to_string(last), y, true);
  for (int s = 0; every > 0 && s < last; s += every) {
    const std::string text = std::to_string(s);
    if (layout.column_center(s) + panel.canvas.width(Type::small, text) / 2 + kGap > end.x0) break;
    draw_key_name(panel, layout, s, text, y, false);
  }
  const Rect caption{layout.matrix.x0, y + kNameHeight, layout.matrix.x1, y + 2 * kNameHeight};
  if (caption.y1 <= layout.names.y1)
    panel.canvas.text_in(caption, Type::small, panel.color(panel.hex().muted), "position of the key",
                         Align::right);
}

/// Writes under each column of the matrix which key it is: its word if all words fit on two lines, else its position.
/// Of a model whose tokens are only numbers always its position, because "t17" says no more.
void draw_key_names(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  if (!layout.window.whole()) return;  // the bars do not stand under the columns
  const int n = layout.window.n_shown();
  const int lines = layout.names.height() >= 2 * kNameHeight ? 2 : 1;
  float widest = 0;
  for (const std::string& word : pane.labels)
    widest = std::max(widest, panel.canvas.width(Type::small, word));
  const bool fit = widest + 6 <= layout.column_width * static_cast<float>(lines);
  if (pane.numbered || !fit) return draw_key_positions(panel, layout, pane);
  for (int s = 0; s < n; ++s) {
    const bool lower = lines == 2 && (n - 1 - s) % 2 == 1;
    draw_key_name(panel, layout, s, pane.labels[static_cast<size_t>(s)],
                  layout.names.y0 + (lower ? kNameHeight : 0), s == pane.decides_row);
  }
}

/// Beat `sum`: a bar beside each V row shows how much of it goes into the output.
void draw_shares(Panel& panel, const PaneLayout& layout, const view::OutputRow& output) {
  constexpr float kRoom = 12;  // between V and the matrix
  for (int slot = 0; slot < layout.window.n_shown(); ++slot) {
    const int s = layout.window.position(slot);
    const float weight = output.v_tint[static_cast<size_t>(slot)];
    if (!std::isfinite(weight)) continue;
    const Rect row = layout.row(view::Part::v, s);
    const float half = std::min(row.height(), 16.0f) / 4, y = row.center().y;
    const float length =
        std::max(1.0f, kRoom * std::clamp(weight, 0.0f, 1.0f) * std::min(1.0f, panel.progress * 2));
    panel.canvas.fill({row.x1 + 1, y - half, row.x1 + 1 + length, y + half},
                      panel.color(panel.hex().positive));
  }
}

/// A frame for each V row moves down into the output row. The larger the weight, the stronger the frame.
void draw_falling_rows(Panel& panel, const PaneLayout& layout, const view::OutputRow& output) {
  const float p = ease(std::min(1.0f, panel.progress * 1.4f));
  for (int slot = 0; slot < layout.window.n_shown(); ++slot) {
    const int s = layout.window.position(slot);
    const float weight = output.v_tint[static_cast<size_t>(slot)];
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
  const ImU32 muted = panel.color(panel.hex().muted);
  if (pane.matrix != view::Part::none) draw_key_names(panel, layout, pane);
  if (bars.show_scores && !bars.scores.empty() && !layout.score_bars.empty()) {
    const float reveal = beat == Beat::score ? panel.progress : 1.0f;
    panel.canvas.text_in(layout.score_caption, Type::small, muted, bars.score_caption);
    draw_score_bars(panel, layout, bars, reveal);
  }
  if (bars.show_weights && !bars.weights.empty()) {
    const float grown = bars.morph ? ease(panel.progress) : 1.0f;
    panel.canvas.text_in(layout.weight_caption, Type::small, muted, bars.weight_caption);
    draw_weight_bars(panel, layout, bars, grown);
  }
}

void draw_output(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  const view::OutputRow& output = pane.output;
  if (output.v_tint.size() == static_cast<size_t>(layout.window.n_shown())) {
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
              static_cast<int>(output.values.size()), output.scale, opacity);
  if (output.row.is == view::State::computed_now)
    panel.canvas.frame(r, panel.canvas.colors().state(view::State::computed_now, opacity), 2);
}

}  // namespace lastrow::ui
