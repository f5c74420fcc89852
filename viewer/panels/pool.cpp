#include "viewer/panels/pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "viewer/draw/patterns.h"

namespace lastrow::ui {
namespace {

using What = view::SlotCell::What;

constexpr float kLine = 15, kMostCell = 30, kLeastCell = 14, kLeastWidth = 5, kCell = 24, kNumber = 14,
                kBlockGap = 3;

/// How the slots are divided into lines, and how large each is.
struct Grid {
  int per_line = 1;
  float width = 0, height = 0;
};

/// As few lines as the numbers in the slots allow; the slots of a block stay on one line where they can.
Grid grid_for(const Rect& room, const view::Pool& pool) {
  constexpr float kReadable = 20;
  const auto n = static_cast<int>(pool.slots.size());
  const int most_lines = std::max(1, static_cast<int>(room.height() / kLeastCell));
  Grid grid;
  for (int lines = 1; lines <= most_lines; ++lines) {
    int per_line = (n + lines - 1) / lines;
    if (lines > 1 && pool.block_len > 1 && pool.block_len < per_line)
      per_line = (per_line + pool.block_len - 1) / pool.block_len * pool.block_len;
    const float gaps =
        static_cast<float>((per_line - 1) / pool.block_len) * (pool.block_len > 1 ? kBlockGap : 0);
    const float fit = (room.width() - gaps) / static_cast<float>(per_line);
    grid = {per_line, std::min(kMostCell, fit >= 4 ? std::floor(fit) : fit),
            std::min(kCell, std::floor(room.height() / static_cast<float>(lines)))};
    if (fit >= kReadable) break;
  }
  return grid;
}

/// named: whether the positions are written in the slots.
void draw_slot(Panel& panel, const Rect& r, const view::SlotCell& cell, bool named) {
  Canvas& canvas = panel.canvas;
  const view::State state = cell.what == What::written ? view::State::computed_now : view::State::from_cache;
  const bool holds = cell.what == What::held || cell.what == What::written;
  if (holds) canvas.fill(r, panel.color(mix(panel.hex().pane, state_color(panel.hex(), state), 0.14f)));
  if (r.width() < 5) return;
  if (holds)
    canvas.frame(r, canvas.colors().state(state),
                 cell.what == What::written && r.width() >= 20 ? 2.0f : 1.0f);
  else
    canvas.frame(r, canvas.colors().state(view::State::not_stored), 1);
  const bool freed_unnamed = !named && cell.what == What::freed;
  if (freed_unnamed) canvas.line({r.x0 + 1, r.y1 - 1}, {r.x1 - 1, r.y0 + 1}, panel.color(panel.hex().text));
  if (!named || cell.position < 0 || cell.what == What::free) return;
  const std::string text = fmt::format("{}", cell.position);
  const bool freed = cell.what == What::freed;
  const float width = canvas.text_in(
      r, Type::mono_small, panel.color(freed ? panel.hex().muted : panel.hex().text), text, Align::center);
  const ImVec2 c = r.center();
  if (freed) canvas.horizontal(c.x - width / 2 - 2, c.x + width / 2 + 2, c.y, panel.color(panel.hex().text));
}

/// Writes what the two lines of numbers are, right of the last slot.
void name_lines(Panel& panel, const Rect& slots, const Grid& grid, const view::Pool& pool) {
  const auto n = static_cast<int>(pool.slots.size());
  const int gaps = pool.block_len > 1 ? (n - 1) / pool.block_len : 0;
  const float x = slots.x0 + static_cast<float>(n) * grid.width + static_cast<float>(gaps) * kBlockGap + 6;
  const float middle = slots.y0 + grid.height;
  const ImU32 muted = panel.color(panel.hex().muted);
  panel.canvas.text_in({x, slots.y0, slots.x1, middle}, Type::small, muted, "position");
  panel.canvas.text_in({x, middle, slots.x1, middle + kNumber}, Type::small, muted, "slot");
}

}  // namespace

void draw_pool(Panel& panel, const Rect& room, const view::Pool& pool, bool dim) {
  Rect rest = room;
  const ImU32 muted = panel.color(panel.hex().muted);
  const ImU32 ink = panel.color(dim ? panel.hex().muted : panel.hex().text);
  const auto width_of = [&](const std::string& text) { return panel.canvas.width(Type::small, text) + 2; };
  const bool lines = rest.height() >= kLine + kLeastCell + 2;
  bool note_below = !pool.note.empty() && width_of(pool.note) <= rest.width();
  const std::string title =
      width_of(pool.title) <= rest.width() ? pool.title : pool.title.substr(0, pool.title.find(':'));
  if (lines && width_of(title) <= rest.width()) {
    const Rect first = rest.cut_top(kLine);
    panel.canvas.text_in(first, Type::small, muted, title);
    if (note_below && width_of(title) + width_of(pool.note) + 12 <= first.width()) {
      panel.canvas.text_in(first, Type::small, ink, pool.note, Align::right);
      note_below = false;
    }
    rest.cut_top(2);
  }
  note_below = note_below && rest.height() >= kLine + kLeastCell;
  const Rect slots{rest.x0, rest.y0, rest.x1, rest.y1 - (note_below ? kLine : 0)};
  if (slots.height() < 8) return;
  const auto n = static_cast<int>(pool.slots.size());
  const auto numbered = [&](const Grid& g) {
    return g.per_line >= n && slots.height() >= g.height + kNumber && g.width >= 16;
  };
  const float names = width_of("position") + 6;
  Grid grid = grid_for({slots.x0, slots.y0, slots.x1 - names, slots.y1}, pool);
  const bool lines_named = numbered(grid);
  if (!lines_named) grid = grid_for(slots, pool);
  if (grid.width < kLeastWidth) return;
  const bool one_line = grid.per_line >= n;
  const bool named = std::ranges::all_of(pool.slots, [&](const view::SlotCell& cell) {
    return panel.canvas.width(Type::mono_small, fmt::format("{}", cell.position)) + 3 <= grid.width;
  });
  const bool numbers = numbered(grid);
  for (int slot = 0; slot < n; ++slot) {
    const int column = slot % grid.per_line, line = slot / grid.per_line;
    const int gaps = pool.block_len > 1 ? column / pool.block_len : 0;
    const float x = slots.x0 + static_cast<float>(column) * grid.width + static_cast<float>(gaps) * kBlockGap,
                y = slots.y0 + static_cast<float>(line) * grid.height;
    const float gap = grid.width >= 6 ? 1.0f : 0.0f;
    const Rect place{x, y, x + grid.width - gap, y + grid.height - (one_line ? 0.0f : gap)};
    const view::SlotCell& cell = pool.slots[static_cast<size_t>(slot)];
    draw_slot(panel, place, cell, named);
    if (numbers)
      panel.canvas.text_in({place.x0 - 2, place.y1, place.x1 + 2, place.y1 + kNumber}, Type::small, muted,
                           fmt::format("{}", slot), Align::center);
    if (touch("slot", slot, place).hovered) tooltip(panel, {}, cell.tooltip);
  }
  if (lines_named && named) name_lines(panel, slots, grid, pool);
  const int n_lines = (n + grid.per_line - 1) / grid.per_line;
  const float end = slots.y0 + static_cast<float>(n_lines) * grid.height + (numbers ? kNumber : 0);
  if (note_below) panel.canvas.text_in({rest.x0, end, rest.x1, end + kLine}, Type::small, ink, pool.note);
}

}  // namespace lastrow::ui
