// The inspector while nothing is pointed at: the row that decides, worked out, and how to read the panes.
#include <algorithm>

#include "viewer/panels/cost_plot.h"
#include "viewer/panels/panel.h"

namespace lastrow::ui {
namespace {

void heading(Panel& panel, Rect& column, const std::string& text, Type type) {
  column.cut_top(10);
  column.cut_top(
      panel.canvas.text_lines(column, type, panel.color(panel.hex().text), text, 2, kInspectorLine));
  column.cut_top(2);
}

/// A key: its word and score, then its weight as a bar with the number.
void draw_key(Panel& panel, Rect row, const view::ExampleKey& key) {
  const Rect name = row.cut_left(std::floor(row.width() * 0.34f));
  panel.canvas.text_in(name, Type::small, panel.color(panel.hex().text), key.name);
  panel.canvas.text_in(row.cut_left(44), Type::mono_small, panel.color(panel.hex().muted), key.score,
                       Align::right);
  row.cut_left(8);
  panel.canvas.text_in(row.cut_right(50), Type::mono_small, panel.color(panel.hex().text), key.weight,
                       Align::right);
  row.cut_right(4);
  const Rect track = row.inset(0, 4);
  panel.canvas.fill(track, panel.color(mix(panel.hex().pane, panel.hex().text, 0.06f)));
  panel.canvas.fill(
      {track.x0, track.y0, track.x0 + track.width() * std::clamp(key.share, 0.0f, 1.0f), track.y1},
      panel.color(panel.hex().positive));
}

/// The gap between both sides, in what is left of the column.
void draw_costs_so_far(Panel& panel, Rect column) {
  constexpr float kLeast = 112, kMost = 240;
  if (column.height() < kLeast + 2 * kInspectorLine || panel.view.tab != view::Tab::none) return;
  column.cut_top(10);
  panel.canvas.horizontal(column.x0, column.x1, column.y0, panel.color(panel.hex().line));
  heading(panel, column, panel.view.inspector.example.costs_title, Type::label_bold);
  draw_cost_curve(panel, column.cut_top(std::min(column.height(), kMost)), "inspector");
}

}  // namespace

void draw_worked_example(Panel& panel, Rect& column) {
  const view::WorkedExample& example = panel.view.inspector.example;
  const ImU32 ink = panel.color(panel.hex().text), muted = panel.color(panel.hex().muted);
  column.cut_top(2);
  heading(panel, column, example.title, Type::body_bold);
  const auto part = [&](const std::string& title, const std::string& line) {
    if (title.empty() || column.height() < 4 * kInspectorLine) return;
    heading(panel, column, title, Type::label_bold);
    column.cut_top(panel.canvas.text_lines(column, Type::label, ink, line, 2, kInspectorLine));
  };
  part(example.score_title, example.score_line);
  if (!example.keys.empty()) {
    heading(panel, column, example.weight_title, Type::label_bold);
    for (const view::ExampleKey& key : example.keys)
      if (column.height() > kInspectorLine) draw_key(panel, column.cut_top(kInspectorLine), key);
  }
  part(example.output_title, example.output_line);
  if (column.height() < 6 * kInspectorLine) return;
  column.cut_top(6);
  panel.canvas.horizontal(column.x0, column.x1, column.y0, panel.color(panel.hex().line));
  heading(panel, column, example.reading_title, Type::label_bold);
  for (const std::string& line : example.reading)
    column.cut_top(panel.canvas.text_lines(column, Type::label, muted, line, 2, kInspectorLine));
  draw_costs_so_far(panel, column);
}

}  // namespace lastrow::ui
