// The rail at the left: the stack of layers, the heads with the K/V heads they share, the program's buttons.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/panels/blocks.h"
#include "viewer/panels/panel.h"

namespace lastrow::ui {
namespace {

void caption(Panel& panel, Rect& column, const char* text) {
  panel.canvas.text_in(column.cut_top(16).inset(-2, 0), Type::small, panel.color(panel.hex().muted), text,
                       Align::center);
}

/// Two small buttons side by side: previous, next.
void arrows(Panel& panel, Rect& column, char down, char up) {
  Rect row = column.cut_top(18);
  row = row.inset(2, 1);
  key_button(panel, row.cut_left(row.width() / 2).inset(0.5f, 0), down == '[' ? Icon::down : Icon::up,
             binding_for(view::Key::character, down));
  key_button(panel, row.inset(0.5f, 0), down == '[' ? Icon::up : Icon::down,
             binding_for(view::Key::character, up));
  column.cut_top(3);
}

/// The last layer is at the top, because data flows upwards.
void draw_layers(Panel& panel, Rect& column, float most) {
  const std::vector<view::LayerChip>& layers = panel.view.layers.layers;
  if (layers.empty()) return;
  caption(panel, column, "layer");
  arrows(panel, column, '[', ']');
  const float height = std::clamp(std::floor(most / static_cast<float>(layers.size())), 3.0f, 26.0f);
  const bool low = height < 20;
  for (size_t i = layers.size(); i-- > 0;) {
    const view::LayerChip& layer = layers[i];
    const Rect r = column.cut_top(height).inset(3, height > 8 ? 1.0f : 0.0f);
    const Touch touched = touch("layer", layer.layer, r);
    const Hex ground = layer.selected    ? panel.hex().accent
                       : touched.hovered ? panel.hex().hover
                                         : panel.hex().pane;
    panel.canvas.fill_round(r, panel.color(ground), 3);
    if (!layer.selected) panel.canvas.frame_round(r, panel.color(panel.hex().line), 3);
    if (height >= 13)
      panel.canvas.text_in(r, low ? Type::small : Type::label,
                           panel.color(layer.selected ? panel.hex().on_accent : panel.hex().text),
                           fmt::format("{}", layer.layer), Align::center);
    if (panel.view.layers.complete && height > 8) {  // marks the finished layers, from the bottom up
      const bool arriving = panel.view.transport.beat == view::Beat::next;
      const float p =
          arriving ? staggered(panel.progress, static_cast<int>(i), static_cast<int>(layers.size())) : 1;
      const Rect bar = low ? Rect{r.x0 + 3, r.y1 - 2 - (r.height() - 4) * p, r.x0 + 5, r.y1 - 2}
                           : Rect{r.x0 + 4, r.y1 - 4, r.x0 + 4 + (r.width() - 8) * p, r.y1 - 2};
      panel.canvas.fill(bar, panel.color(layer.selected ? panel.hex().on_accent : panel.hex().muted));
    }
    if (layer.poked)
      panel.canvas.dashed(r.inset(low ? 0 : 1), IM_COL32(0, 0, 0, 255), low ? 1.0f : 2.0f, 4, 4,
                          IM_COL32(255, 255, 255, 255));
    if (touched.clicked) panel.send(view::SetLayer{layer.layer});
    if (touched.hovered) tooltip(panel, "layer " + layer.label, layer.tooltip, "[ ]");
  }
}

/// A square per query head; the darker it is, the more focused is its last row. Beside the squares stand the
/// K/V heads, each as high as the query heads that share it.
void draw_heads(Panel& panel, Rect& column, float most) {
  const view::HeadStrip& strip = panel.view.heads;
  if (strip.heads.empty()) return;
  caption(panel, column, "head");
  arrows(panel, column, ',', '.');
  const float size = std::clamp(std::floor(most / static_cast<float>(strip.heads.size())), 3.0f, 24.0f);
  const float gap = size > 8 ? 2.0f : 0.0f, x0 = column.x0 + 2, top = column.y0;
  for (size_t i = 0; i < strip.heads.size(); ++i) {
    const view::HeadChip& head = strip.heads[i];
    const Rect r{x0, top + static_cast<float>(i) * size, x0 + 24,
                 top + static_cast<float>(i + 1) * size - gap};
    const Touch touched = touch("head", head.head, {r.x0, r.y0, column.x1, r.y1 + gap});
    const ImU32 fill = panel.canvas.colors().weight(head.focus);
    panel.canvas.fill(r, fill);
    panel.canvas.frame(r, panel.color(head.selected ? panel.hex().accent : panel.hex().line),
                       head.selected ? (size < 20 ? 2.0f : 3.0f) : 1.0f);
    if (size >= 13) {
      const bool on_dark =
          contrast(panel.hex().pane, mix_oklab(panel.hex().zero, panel.hex().positive, head.focus)) > 4.5;
      panel.canvas.text_in(r, Type::small, panel.color(on_dark ? panel.hex().pane : panel.hex().text),
                           fmt::format("{}", head.head), Align::center);
    }
    if (touched.clicked) panel.send(view::SetHead{head.head});
    if (touched.hovered) tooltip(panel, fmt::format("query head {}", head.head), head.tooltip, ", .");
  }
  const int group = std::max(1, strip.group_size);
  for (int g = 0; g < strip.n_kv_heads; ++g) {
    const float y0 = top + static_cast<float>(g * group) * size;
    const Rect r{x0 + 27, y0, x0 + 35, y0 + static_cast<float>(group) * size - gap};
    bool selected = false;
    for (const view::HeadChip& head : strip.heads) selected |= head.selected && head.kv_head == g;
    panel.canvas.fill(
        r, panel.color(selected ? panel.hex().accent : mix(panel.hex().window, panel.hex().text, 0.25f)));
    const Touch touched = touch("kv", g, r);
    if (touched.hovered) tooltip(panel, fmt::format("K/V head {}", g), strip.caption);
  }
}

}  // namespace

void draw_rail(Panel& panel) {
  Rect column = panel.layout.rail;
  const bool tight = column.height() < 520;
  const float button = tight ? 24.0f : 28.0f;
  using view::Key;
  struct Entry {
    Icon icon;
    const view::KeyBinding& binding;
    bool enabled;
  };
  const Entry entries[] = {{Icon::pencil, binding_for(Key::character, 'p'), true},
                           {Icon::restore, binding_for(Key::character, 'r'), panel.view.n_pokes > 0},
                           {Icon::copy, binding_for(Key::character, 'c'), true},
                           {Icon::camera, binding_for(Key::character, 's', false, true), true},
                           {Icon::half_moon, binding_for(Key::character, 't'), true},
                           {Icon::full_screen, binding_for(Key::f11), true},
                           {Icon::question, binding_for(Key::character, '?'), true}};
  Rect buttons = column.cut_bottom(button * static_cast<float>(std::size(entries)));
  column.cut_bottom(4);
  const float fixed = 2 * (16 + 18 + 3) + 8;
  const float room = std::max(60.0f, column.height() - fixed);
  const auto n_layers = static_cast<float>(panel.view.layers.layers.size()),
             n_heads = static_cast<float>(panel.view.heads.heads.size());
  const float for_layers = room * n_layers / std::max(1.0f, n_layers + n_heads);
  draw_layers(panel, column, for_layers);
  column.cut_top(8);
  draw_heads(panel, column, room - for_layers);
  for (const Entry& entry : entries)
    key_button(panel, buttons.cut_top(button).inset(5, 1), entry.icon, entry.binding, entry.enabled);
}

}  // namespace lastrow::ui
