// One pane: titles, token labels, blocks, the row that decides, what is kept, what the pokes changed.
#include <fmt/format.h>

#include <algorithm>

#include "viewer/panels/blocks.h"
#include "viewer/panels/charts.h"
#include "viewer/panels/pointing.h"
#include "viewer/panels/scroll.h"

namespace lastrow::ui {
namespace {

using view::Part;

void draw_title(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  Rect line = layout.title;
  const float width = panel.canvas.text_in(line, Type::body_bold, panel.color(panel.hex().text), pane.name);
  line.x0 += width + 10;
  panel.canvas.text_in(line, Type::label, panel.color(panel.hex().muted), pane.subtitle);
}

/// The name, and the subtitle under it in small letters.
void draw_block_title(Panel& panel, const Rect& column, const Rect& lines, const std::string& name,
                      const std::string& subtitle) {
  Rect box{column.x0, lines.y0, column.x1, lines.y1};
  const Rect first = box.cut_top(17);
  panel.canvas.text_in(first, Type::label_bold, panel.color(panel.hex().text), name);
  panel.canvas.text_in({box.x0, box.y0, box.x1 + 8, box.y1}, Type::small, panel.color(panel.hex().muted),
                       subtitle);
}

/// Which query heads share K and V, above a bracket over both blocks.
void draw_sharing(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  const ImU32 muted = panel.color(panel.hex().muted), line = panel.color(panel.hex().absent);
  Rect text = layout.sharing;
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
  const int last = layout.first_row + layout.n_rows - 1;
  const bool dense = layout.row_height < 14;
  const std::optional<view::Target>& hovered = panel.view.inspector.hovered;
  for (int i = layout.first_row; i <= last; ++i) {
    const bool wanted = !dense || (last - i) % 2 == 0 || (hovered && hovered->row == i);
    if (!wanted) continue;
    Rect row = layout.row(Part::token, i);
    if (dense) row = row.inset(0, -2);
    const bool decides = i == pane.decides_row, is_new = i >= pane.first_new_row;
    panel.canvas.text_in(row.cut_left(24), Type::mono_small, panel.color(panel.hex().muted),
                         fmt::format("{}", i), Align::right);
    row.cut_left(8);
    const Type type = dense ? Type::small : decides ? Type::label_bold : Type::label;
    panel.canvas.text_in(
        row, type, panel.color(is_new ? panel.hex().text : mix(panel.hex().text, panel.hex().muted, 0.5f)),
        pane.labels[static_cast<size_t>(i)]);
  }
}

/// The frame around the row that decides, with the word "decides" on a tab below it.
void draw_decides(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  if (!layout.sees_row(pane.decides_row) || pane.decides_text.empty()) return;
  const Rect label = layout.row(Part::token, pane.decides_row);
  const Rect frame{layout.rows.x0 - 4, label.y0 - 4, layout.matrix.x1 + 4, label.y1 + 4};
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

/// What the pokes changed, in boxes under the blocks.
void draw_badges(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  if (pane.badges.empty() && pane.difference.empty()) return;
  Rect room = layout.badges;
  const float text_width = room.width() - 38;
  for (const view::Badge& badge : pane.badges) {
    const int lines = static_cast<int>(panel.canvas.width(Type::small, badge.text) * 1.12f / text_width) + 1;
    const Rect box = room.cut_top(std::min(static_cast<float>(lines) * 15 + 10, room.height()));
    room.cut_top(4);
    const Hex edge = badge.no_effect ? panel.hex().muted : panel.hex().text;
    panel.canvas.fill_round(box, panel.color(panel.hex().window), 4);
    panel.canvas.frame_round(box, panel.color(edge), 4, badge.no_effect ? 1.0f : 2.0f);
    Rect inside = box.inset(8, 5);
    draw_icon(panel.canvas, inside.cut_left(14), Icon::pencil, panel.color(edge));
    inside.cut_left(8);
    panel.canvas.text_lines(inside, Type::small, panel.color(panel.hex().text), badge.text,
                            std::max(1, static_cast<int>(inside.height() / 15)), 15);
  }
  if (const int lines = static_cast<int>(room.height() / 14); lines > 0)  // otherwise the badge is enough
    panel.canvas.text_lines(room, Type::small, panel.color(panel.hex().muted), pane.difference, lines, 14);
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
  draw_badges(panel, layout, pane);
  draw_footer(panel, layout, pane);
  draw_scroll_bars(panel, layout);
  draw_sweep(panel, layout, pane);
  draw_crosshair(panel, layout, pane);
  panel.canvas.unclip();
}

}  // namespace lastrow::ui
