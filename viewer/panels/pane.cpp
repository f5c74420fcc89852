// One pane: titles, token labels, blocks, the row that decides, what is kept, what the pokes changed.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/draw/patterns.h"
#include "viewer/panels/blocks.h"
#include "viewer/panels/charts.h"
#include "viewer/panels/overview.h"
#include "viewer/panels/pointing.h"
#include "viewer/panels/pool.h"
#include "viewer/panels/scroll.h"
#include "viewer/view_model/state/overview.h"

namespace lastrow::ui {
namespace {

using view::Part;

constexpr float kIndexGap = 6;  // between the indices and Q

void draw_title(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  Rect line = layout.title;
  const float width = panel.canvas.text_in(line, Type::body_bold, panel.color(panel.hex().text), pane.name);
  line.x0 += width + 10;
  const Type type =
      panel.canvas.width(Type::label, pane.subtitle) <= line.width() ? Type::label : Type::small;
  panel.canvas.text_in(line, type, panel.color(panel.hex().muted), pane.subtitle);
}

/// The name, and the subtitle under it in small letters.
void draw_block_title(Panel& panel, const Rect& column, const Rect& lines, const std::string& name,
                      const std::string& subtitle) {
  Rect box{column.x0, lines.y0, column.x1, lines.y1};
  const Rect first = box.cut_top(17);
  panel.canvas.text_in(first, Type::label_bold, panel.color(panel.hex().text), name);
  if (box.height() >= 14)
    panel.canvas.text_in({box.x0, box.y0, box.x1 + 8, box.y1}, Type::small, panel.color(panel.hex().muted),
                         subtitle);
}

/// Which query heads share K and V, above a bracket over both blocks.
void draw_sharing(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  const ImU32 muted = panel.color(panel.hex().muted), line = panel.color(panel.hex().absent);
  Rect text = layout.sharing;
  if (text.empty()) return;
  panel.canvas.text_in({layout.labels.x0, text.y0, layout.q.x1, text.y1 - 4}, Type::small, muted,
                       pane.q.sharing, Align::right);
  panel.canvas.text_in({layout.k.x0, text.y0, layout.rows.x1, text.y1 - 4}, Type::small, muted,
                       pane.k.sharing);
  const float y = text.y1 - 2;
  panel.canvas.horizontal(layout.k.x0, layout.v.x1, y, line);
  panel.canvas.vertical(layout.k.x0 + 0.5f, y, y + 4, line);
  panel.canvas.vertical(layout.v.x1 - 0.5f, y, y + 4, line);
}

void draw_labels(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  const int n = layout.window.n_shown();
  const bool dense = layout.row_height < 14;
  const std::optional<view::Target>& hovered = panel.view.inspector.hovered;
  for (int slot = 0; slot < n; ++slot) {
    const int position = layout.window.position(slot);
    const bool wanted = !dense || slot == n - 1 || (layout.window.n - 1 - slot) % 2 == 0 ||
                        (hovered && hovered->row == position);
    if (!wanted) continue;
    Rect row = layout.row(Part::token, position);
    if (dense) row = row.inset(0, -2);
    const bool decides = position == pane.decides_row, is_new = position >= pane.first_new_row;
    const float digits = panel.canvas.width(Type::mono_small, fmt::format("{}", pane.n_tokens - 1));
    const Rect number = row.cut_left(std::max(20.0f, digits + 1));
    const float width = panel.canvas.text_in(number, Type::mono_small, panel.color(panel.hex().muted),
                                             fmt::format("{}", position), Align::right);
    const bool struck = !pane.struck.empty() && pane.struck[static_cast<size_t>(slot)];
    if (struck)
      panel.canvas.horizontal(number.x1 - width - 2, number.x1 + 2, number.center().y,
                              panel.color(panel.hex().text));
    if (!pane.indices.empty()) {
      row.cut_right(kIndexGap);
      panel.canvas.text_in(row.cut_right(22), Type::mono_small, panel.color(panel.hex().accent),
                           pane.indices[static_cast<size_t>(slot)], Align::right);
    }
    row.cut_left(8);
    const bool low = layout.row_height < 17;
    const Type type = low ? Type::small : decides ? Type::label_bold : Type::label;
    panel.canvas.text_in(row, type,
                         panel.color(is_new   ? panel.hex().text
                                     : struck ? panel.hex().muted
                                              : mix(panel.hex().text, panel.hex().muted, 0.5f)),
                         pane.labels[static_cast<size_t>(slot)]);
  }
}

/// Over the labels of a window, which tokens are shown; and over the indices, what they are.
void draw_window_note(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  Rect note{layout.labels.x0, layout.block_title.y0, layout.labels.x1, layout.block_title.y1};
  if (!pane.indices.empty()) {
    note.x1 -= kIndexGap;
    const Rect column{note.x0, note.y1 - 15, note.x1, note.y1};
    panel.canvas.text_in(column, Type::small, panel.color(panel.hex().accent), pane.index_title,
                         Align::right);
    note.x1 -= panel.canvas.width(Type::small, pane.index_title) + 6;
  }
  panel.canvas.text_in(note.cut_top(17), Type::label_bold, panel.color(panel.hex().text), pane.window_range);
  if (note.height() >= 14)
    panel.canvas.text_in(note, Type::small, panel.color(panel.hex().muted), pane.window_note);
}

/// The frame around the row that decides, with the word "decides" on a tab below it.
void draw_decides(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  if (pane.decides_text.empty()) return;
  const Rect label = layout.row(Part::token, pane.decides_row);
  const float above = layout.window.pinned ? 4.0f : 2.0f;  // the row above stays whole
  const Rect frame{layout.rows.x0 - 4, label.y0 - above, layout.matrix.x1 + 4, label.y1 + 4};
  const ImU32 ink = panel.color(panel.hex().text);
  panel.canvas.frame(frame, ink, 1.5f);
  const float width = panel.canvas.width(Type::small, pane.decides_text) + 12;
  const Rect tab{frame.x0, frame.y1, frame.x0 + width, frame.y1 + 16};
  panel.canvas.fill(tab, ink);
  panel.canvas.text_in(tab.inset(6, 0), Type::small, panel.color(panel.hex().pane), pane.decides_text);
}

void draw_footer(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  Rect line = layout.footer;
  panel.canvas.horizontal(line.x0, line.x1, line.y0, panel.color(panel.hex().line));
  line.y0 += 2;
  const Type type = pane.show_kept ? Type::label_bold : Type::label;
  const Hex color = pane.show_kept ? panel.hex().text : mix(panel.hex().pane, panel.hex().muted, 0.75f);
  const float width = panel.canvas.text_in(line, type, panel.color(color), pane.kept);
  line.x0 += width + 16;
  const Type note =
      panel.canvas.width(Type::label, pane.beat_note) <= line.width() ? Type::label : Type::small;
  panel.canvas.text_in(line, note, panel.color(panel.hex().muted), pane.beat_note, Align::right);
}

/// What the pokes changed, in a box over the whole width.
void draw_badges(Panel& panel, Rect room, const view::PaneState& pane) {
  if (pane.badges.empty()) return;
  const view::Badge& badge = pane.badges.front();
  const Hex edge = badge.no_effect ? panel.hex().muted : panel.hex().text;
  panel.canvas.fill_round(room, panel.color(panel.hex().window), 4);
  panel.canvas.frame_round(room, panel.color(edge), 4, badge.no_effect ? 1.0f : 2.0f);
  Rect inside = room.inset(8, 4);
  draw_icon(panel.canvas, inside.cut_left(14), Icon::pencil, panel.color(edge));
  inside.cut_left(8);
  constexpr float kLine = 14, kLargeLine = 17;
  const ImU32 muted = panel.color(panel.hex().muted), ink = panel.color(panel.hex().text);
  if (!pane.difference.empty())
    panel.canvas.text_in(inside.cut_bottom(kLine), Type::small, muted, pane.difference);
  // Lines break at spaces, so they are not quite full.
  const float large_lines = 1.12f * panel.canvas.width(Type::label, badge.text) / inside.width();
  if (std::ceil(large_lines) * kLargeLine <= inside.height())
    panel.canvas.text_lines(inside, Type::label, ink, badge.text,
                            static_cast<int>(inside.height() / kLargeLine), kLargeLine);
  else
    panel.canvas.text_lines(inside, Type::small, ink, badge.text, static_cast<int>(inside.height() / kLine),
                            kLine);
}

/// A stack of the rows that stay for the next step, in the column of its block; dashed if none stays.
void draw_stack(Panel& panel, const Rect& column, float y0, float y1, const char* name, int rows, bool now) {
  Canvas& canvas = panel.canvas;
  const float strength = now ? 1.0f : 0.35f;
  const Rect number{column.x0, y0, column.x1, y0 + 20};
  const std::string text = fmt::format("{} {}", name, rows);
  canvas.text_in(number, Type::body_bold, panel.color(panel.hex().text, strength), text, Align::center);
  const Rect place{column.x0, number.y1 + 2, column.x1, y1};
  if (place.height() < 6) return;
  if (rows == 0) return canvas.dashed(place, canvas.colors().state(view::State::absent, strength), 1, 4, 3);
  canvas.fill(place, panel.color(mix(panel.hex().pane, panel.hex().cache, 0.12f * strength)));
  const float least = 4;  // a lower row has no room for a dot, so the dots fill the stack
  const float row = place.height() / static_cast<float>(rows), period = row < least ? place.height() : row;
  for (float y = place.y0; y < place.y1 - 1; y += period)
    draw_dots(canvas, {place.x0 + 2, y + 1, place.x1 - 2, std::min(place.y1, y + period) - 1},
              canvas.colors().state(view::State::from_cache, strength), 4);
  canvas.frame(place, canvas.colors().state(view::State::from_cache, strength), 1.5f);
}

/// What stays for the next step: nothing of Q, all of K and V, or nothing at all. Of a cache that forgets rows also
/// its slots; in a low pane only these, because the line below says how many rows stay.
void draw_kept(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  Rect room = layout.kept;
  if (!pane.pool.slots.empty() && room.height() >= 12) {
    constexpr float kLeastStacks = 34;
    const bool both = room.height() >= kPoolHeight + kLeastStacks + 6;
    draw_pool(panel, both ? room.cut_bottom(kPoolHeight) : room, pane.pool, !pane.show_kept);
    if (!both) return;
    room.cut_bottom(6);
  }
  room.y1 = std::min(room.y1, room.y0 + 116);
  if (room.height() < 30) return;
  const Hex ink = pane.show_kept ? panel.hex().text : mix(panel.hex().pane, panel.hex().muted, 0.75f);
  const Rect words{layout.labels.x0, room.y0, layout.labels.x1 - 4, room.y1};
  panel.canvas.text_lines({words.x0, words.y0 + 3, words.x1, words.y1}, Type::label_bold, panel.color(ink),
                          pane.kept_title, 3, 17);
  draw_stack(panel, layout.q, room.y0, room.y1, "Q", 0, pane.show_kept);
  draw_stack(panel, layout.k, room.y0, room.y1, "K", pane.kept_rows, pane.show_kept);
  draw_stack(panel, layout.v, room.y0, room.y1, "V", pane.kept_rows, pane.show_kept);
}

/// What the policy of the cache changes in this step.
void draw_price(Panel& panel, const Rect& room, const view::PaneState& pane) {
  if (room.empty() || pane.price.empty()) return;
  panel.canvas.text_lines(room, Type::small, panel.color(panel.hex().text), pane.price, 2, 15);
}

/// The place under the blocks: the overview of a long text, or what is kept.
void draw_under_blocks(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  Rect room = layout.kept;
  if (pane.overview && room.height() >= 24) {
    const OverviewLayout overview = overview_layout(room);
    draw_overview(panel, overview, pane);
    Rect beside = overview.caption;
    const float used =
        panel.canvas.text_lines(beside, Type::small, panel.color(panel.hex().muted), pane.overview->caption,
                                static_cast<int>(beside.height() / 14), 14);
    beside.cut_top(used + 4);
    if (!pane.pool.slots.empty()) draw_pool(panel, beside, pane.pool, !pane.show_kept);
  } else if (!pane.overview) {
    draw_kept(panel, layout, pane);
  } else if (!pane.pool.slots.empty()) {
    draw_pool(panel, room, pane.pool, !pane.show_kept);
  }
  if (!pane.bars.outside.empty() && pane.bars.show_weights)
    panel.canvas.text_in({layout.names.x0, layout.names.y0, layout.rows.x1, layout.names.y0 + 15},
                         Type::small, panel.color(panel.hex().text), pane.bars.outside);
  draw_badges(panel, layout.badges, pane);
  draw_price(panel, layout.price, pane);
}

void draw_matrix_title(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  if (pane.matrix == Part::none) return;
  const view::MatrixBlock& block = pane.matrix == Part::weight ? pane.weights : pane.scores;
  const Rect column{layout.matrix.x0, 0, layout.rows.x1, 0};
  draw_block_title(panel, column, layout.block_title, block.name, block.subtitle);
}

}  // namespace

void draw_pane(Panel& panel, Mode side) {
  const PaneLayout& layout = panel.layout.panes[static_cast<size_t>(side)];
  const view::PaneState& pane = panel.view.panes[static_cast<size_t>(side)];
  pane_ground(panel, layout.box);
  panel.canvas.clip(layout.box);
  draw_title(panel, layout, pane);
  draw_sharing(panel, layout, pane);
  for (const view::ValueBlock* block : {&pane.q, &pane.k, &pane.v}) {
    draw_block_title(panel, layout.block(block->part), layout.block_title, block->name, block->subtitle);
    draw_value_block(panel, layout, *block);
  }
  draw_cache_box(panel, layout, pane);
  draw_matrix_title(panel, layout, pane);
  draw_matrix(panel, layout, pane);
  draw_labels(panel, layout, pane);
  draw_decides(panel, layout, pane);
  draw_bars(panel, layout, pane);
  draw_output(panel, layout, pane);
  draw_under_blocks(panel, layout, pane);
  draw_footer(panel, layout, pane);
  draw_window_note(panel, layout, pane);
  draw_scroll_bar(panel, layout);
  draw_sweep(panel, layout, pane);
  draw_crosshair(panel, layout, pane);
  panel.canvas.unclip();
}

}  // namespace lastrow::ui
