// The strip above the panes: the parts of the model from left to right, each with the rows that both sides
// compute in it, and the query heads over the K/V heads that they share.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/panels/blocks.h"
#include "viewer/panels/panel.h"

namespace lastrow::ui {
namespace {

constexpr float kArrows = 20, kBetweenNodes = 10, kWidestNode = 132, kWidestHead = 26, kRowsHeight = 7;

/// Two buttons, one over the other: the key that goes on, and the key that goes back.
void draw_arrows(Panel& panel, Rect column, char back, char on) {
  const float half = column.height() / 2;
  key_button(panel, column.cut_top(half).inset(1), Icon::up, binding_for(view::Key::character, on));
  key_button(panel, column.inset(1), Icon::down, binding_for(view::Key::character, back));
}

/// A bar whose length is the number of rows that one side computes. Rows before the last are computed again.
void draw_rows(Panel& panel, const Rect& track, int rows, int n_tokens, bool again, float strength) {
  const auto& colors = panel.canvas.colors();
  panel.canvas.fill(track, panel.color(mix(panel.hex().pane, panel.hex().text, 0.06f)));
  const float one = track.width() / static_cast<float>(std::max(1, n_tokens));
  const float now = std::max(3.0f, again ? one : one * static_cast<float>(rows));
  const float past =
      again && rows > 1 ? std::min(track.width() - now, one * static_cast<float>(rows - 1)) : 0;
  const auto state = again && rows > 1 ? view::State::again_needed : view::State::computed_now;
  panel.canvas.fill({track.x0, track.y0, track.x0 + past, track.y1}, colors.state(state, strength));
  panel.canvas.fill({track.x0 + past, track.y0, track.x0 + past + now, track.y1},
                    colors.state(view::State::computed_now, strength));
}

/// named: every layer has room for its name. Otherwise layers show only their number.
void draw_node(Panel& panel, const view::ModelNode& node, const Rect& r, int index, bool named) {
  const bool layer = node.layer >= 0;
  const Touch touched = touch("node", index, r);
  const Hex ground = node.selected              ? mix(panel.hex().pane, panel.hex().accent, 0.16f)
                     : touched.hovered && layer ? panel.hex().hover
                                                : panel.hex().pane;
  panel.canvas.fill_round(r, panel.color(ground), 4);
  if (layer)  // only layers can be entered
    panel.canvas.frame_round(r, panel.color(node.selected ? panel.hex().accent : panel.hex().line), 4,
                             node.selected ? 2.0f : 1.0f);
  if (node.poked) panel.canvas.dashed(r, IM_COL32(0, 0, 0, 255), 2, 4, 4, IM_COL32(255, 255, 255, 255));
  Rect inside = r.inset(std::min(6.0f, r.width() / 6), 4);
  const Rect bars = inside.cut_bottom(2 * kRowsHeight + 2);
  const std::string text = named || !layer ? node.name : std::to_string(node.layer);
  const Type type = named ? (node.selected ? Type::label_bold : Type::label) : Type::small;
  if (panel.canvas.width(type, text) <= inside.width())
    panel.canvas.text_in(inside, type, panel.color(panel.hex().text), text, Align::center);
  // Beat ④ completes the layers from left to right.
  const view::ModelStrip& strip = panel.view.model_strip;
  const bool arriving = panel.view.transport.beat == view::Beat::next;
  const float p = arriving ? staggered(panel.progress, index, static_cast<int>(strip.nodes.size())) : 1;
  const float strength = strip.complete ? 0.4f + 0.6f * p : 0.4f;
  const bool again = !panel.view.transport.at_first;
  draw_rows(panel, {bars.x0, bars.y0, bars.x1, bars.y0 + kRowsHeight}, node.rows_with, strip.n_tokens, false,
            strength);
  draw_rows(panel, {bars.x0, bars.y1 - kRowsHeight, bars.x1, bars.y1}, node.rows_without, strip.n_tokens,
            again, strength);
  if (touched.clicked && layer) panel.send(view::SetLayer{node.layer});
  if (touched.hovered)
    tooltip(panel, node.name,
            fmt::format("{} Rows in this step: {} with the cache, {} without.", node.tooltip, node.rows_with,
                        node.rows_without),
            layer ? "[ ]" : "");
}

void draw_nodes(Panel& panel, Rect room) {
  const view::ModelStrip& strip = panel.view.model_strip;
  const auto n = static_cast<float>(strip.nodes.size());
  if (strip.nodes.empty()) return;
  const float between = n > 14 ? 3.0f : kBetweenNodes;
  const float width = std::min(kWidestNode, std::floor((room.width() - (n - 1) * between) / n));
  const bool named = std::all_of(strip.nodes.begin(), strip.nodes.end(), [&](const view::ModelNode& node) {
    return panel.canvas.width(Type::label_bold, node.name) <= width - 2 * std::min(6.0f, width / 6);
  });
  for (size_t i = 0; i < strip.nodes.size(); ++i) {
    const Rect r = room.cut_left(width);
    draw_node(panel, strip.nodes[i], r, static_cast<int>(i), named);
    const Rect gap = room.cut_left(between);
    if (i + 1 < strip.nodes.size() && between >= 8) {
      const float y = gap.center().y;
      panel.canvas.horizontal(gap.x0 + 1, gap.x1 - 1, y, panel.color(panel.hex().muted), 1.5f);
      panel.canvas.line({gap.x1 - 4, y - 3}, {gap.x1 - 1, y}, panel.color(panel.hex().muted), 1.5f);
      panel.canvas.line({gap.x1 - 4, y + 3}, {gap.x1 - 1, y}, panel.color(panel.hex().muted), 1.5f);
    }
  }
}

/// A square per query head; the darker it is, the more focused is its last row.
void draw_query_head(Panel& panel, const view::HeadChip& head, const Rect& r, const Rect& reach) {
  const Touch touched = touch("head", head.head, reach);
  const float fill = view::kWeightScale.at(head.focus);
  panel.canvas.fill(r, panel.canvas.colors().value(fill));
  panel.canvas.frame(r, panel.color(head.selected ? panel.hex().accent : panel.hex().line),
                     head.selected ? (r.width() < 18 ? 2.0f : 3.0f) : 1.0f);
  const std::string digits = std::to_string(head.head);
  if (panel.canvas.width(Type::small, digits) + 2 <= r.width()) {
    const bool on_dark =
        contrast(panel.hex().pane, mix_oklab(panel.hex().zero, panel.hex().positive, double{fill})) > 4.5;
    panel.canvas.text_in(r, Type::small, panel.color(on_dark ? panel.hex().pane : panel.hex().text), digits,
                         Align::center);
  }
  if (touched.clicked) panel.send(view::SetHead{head.head});
  if (touched.hovered) tooltip(panel, fmt::format("query head {}", head.head), head.tooltip, ", .");
}

/// Query heads over K/V heads; a K/V head is as wide as the query heads that share it.
void draw_heads(Panel& panel, Rect room) {
  const view::HeadStrip& strip = panel.view.heads;
  const auto n = static_cast<float>(strip.heads.size());
  if (strip.heads.empty()) return;
  const float size = std::clamp(std::floor(room.width() / n), 3.0f, kWidestHead);
  const float gap = size > 8 ? 2.0f : 0.0f;
  const Rect queries = room.cut_top(room.height() - 16);
  const Rect shared{room.x0, room.y0 + 3, room.x1, room.y1};
  for (size_t i = 0; i < strip.heads.size(); ++i) {
    const float x = queries.x0 + static_cast<float>(i) * size;
    draw_query_head(panel, strip.heads[i], {x, queries.y0, x + size - gap, queries.y1},
                    {x, queries.y0, x + size, queries.y1});
  }
  const int group = std::max(1, strip.group_size);
  for (int g = 0; g < strip.n_kv_heads; ++g) {
    const float x = shared.x0 + static_cast<float>(g * group) * size;
    const Rect r{x, shared.y0, x + static_cast<float>(group) * size - gap, shared.y1};
    const bool selected =
        std::any_of(strip.heads.begin(), strip.heads.end(),
                    [&](const view::HeadChip& head) { return head.selected && head.kv_head == g; });
    panel.canvas.fill(
        r, panel.color(selected ? panel.hex().accent : mix(panel.hex().window, panel.hex().text, 0.25f)));
    const std::string text = group == 1 ? "kv" : fmt::format("K/V {}", g);
    if (panel.canvas.width(Type::small, text) + 2 <= r.width())
      panel.canvas.text_in(r, Type::small, panel.color(selected ? panel.hex().on_accent : panel.hex().text),
                           text, Align::center);
    const Touch touched = touch("kv", g, r);
    if (touched.hovered) tooltip(panel, fmt::format("K/V head {}", g), strip.caption);
  }
}

/// Two short lines beside a row of bars or squares.
void draw_caption(Panel& panel, const Rect& r, const std::string& first, const std::string& second,
                  Type first_type) {
  const float middle = r.center().y;
  panel.canvas.text_in({r.x0, middle - 17, r.x1, middle}, first_type, panel.color(panel.hex().text), first);
  panel.canvas.text_in({r.x0, middle, r.x1, middle + 17}, Type::small, panel.color(panel.hex().muted),
                       second);
}

}  // namespace

void draw_model_strip(Panel& panel) {
  Rect bar = panel.layout.model;
  pane_ground(panel, bar);
  bar = bar.inset(12, 6);
  const view::ModelStrip& strip = panel.view.model_strip;
  const view::HeadStrip& heads = panel.view.heads;
  // The heads take what they need, at most two fifths.
  const float head_caption = panel.canvas.width(Type::small, heads.summary) + 2;
  const float squares = std::min(kWidestHead * static_cast<float>(heads.heads.size()),
                                 bar.width() * 0.4f - head_caption - kArrows);
  Rect right = bar.cut_right(squares + kArrows + 6 + head_caption + 8);
  bar.cut_right(16);
  const float words =
      std::max(panel.canvas.width(Type::small, strip.with), panel.canvas.width(Type::small, strip.without)) +
      2;
  Rect caption = bar.cut_left(words);
  const float line = 9 + kRowsHeight;
  caption = {caption.x0, caption.y1 - 4 - 2 * line + 8, caption.x1, caption.y1};
  panel.canvas.text_in(caption.cut_top(14), Type::small, panel.color(panel.hex().muted), strip.with,
                       Align::right);
  panel.canvas.text_in(caption.cut_top(14), Type::small, panel.color(panel.hex().muted), strip.without,
                       Align::right);
  bar.cut_left(8);
  draw_arrows(panel, bar.cut_left(kArrows), '[', ']');
  bar.cut_left(6);
  draw_nodes(panel, bar);
  draw_caption(panel, right.cut_left(head_caption + 8), heads.kind, heads.summary, Type::label_bold);
  draw_arrows(panel, right.cut_left(kArrows), ',', '.');
  right.cut_left(6);
  draw_heads(panel, right);
}

}  // namespace lastrow::ui
