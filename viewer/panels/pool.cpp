#include "viewer/panels/pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/draw/patterns.h"

namespace lastrow::ui {
namespace {

using What = view::SlotCell::What;

constexpr float kLine = 15, kMostCell = 30, kLeastCell = 14, kCell = 24, kNumber = 14, kBlockGap = 3;

/// How wide a slot is if all of them stand in one line, and blocks stand apart.
float slot_width(const Rect& strip, const view::Pool& pool) {
  const auto n = static_cast<float>(pool.slots.size());
  const float gaps =
      pool.block_len > 1 ? std::floor((n - 1) / static_cast<float>(pool.block_len)) * kBlockGap : 0;
  const float fit = (strip.width() - gaps) / std::max(1.0f, n);
  return std::min(kMostCell, fit >= 4 ? std::floor(fit) : fit);
}

void draw_slot(Panel& panel, const Rect& r, const view::SlotCell& cell) {
  Canvas& canvas = panel.canvas;
  const view::State state = cell.what == What::written ? view::State::computed_now : view::State::from_cache;
  const bool holds = cell.what == What::held || cell.what == What::written;
  if (holds) canvas.fill(r, panel.color(mix(panel.hex().pane, state_color(panel.hex(), state), 0.14f)));
  if (r.width() < 5) return;
  if (holds)
    canvas.frame(r, canvas.colors().state(state), cell.what == What::written ? 2.0f : 1.0f);
  else
    canvas.frame(r, canvas.colors().state(view::State::not_stored), 1);
  if (cell.position < 0 || cell.what == What::free) return;
  const std::string text = fmt::format("{}", cell.position);
  if (canvas.width(Type::mono_small, text) + 2 > r.width()) return;
  const bool freed = cell.what == What::freed;
  const float width = canvas.text_in(
      r, Type::mono_small, panel.color(freed ? panel.hex().muted : panel.hex().text), text, Align::center);
  const ImVec2 c = r.center();
  if (freed) canvas.horizontal(c.x - width / 2 - 2, c.x + width / 2 + 2, c.y, panel.color(panel.hex().text));
}

}  // namespace

void draw_pool(Panel& panel, const Rect& room, const view::Pool& pool, bool dim) {
  Rect rest = room;
  const ImU32 muted = panel.color(panel.hex().muted);
  const ImU32 ink = panel.color(dim ? panel.hex().muted : panel.hex().text);
  const float note = panel.canvas.width(Type::small, pool.note),
              title = panel.canvas.width(Type::small, pool.title);
  const bool lines = rest.height() >= kLine + kLeastCell, one_line = title + note + 16 <= rest.width();
  if (lines) {
    const Rect first = rest.cut_top(kLine);
    panel.canvas.text_in(first, Type::small, muted, pool.title);
    if (one_line) panel.canvas.text_in(first, Type::small, ink, pool.note, Align::right);
    if (!one_line && rest.height() >= kLine + kCell)
      panel.canvas.text_in(rest.cut_bottom(kLine), Type::small, ink, pool.note);
    rest.cut_top(2);
  }
  if (rest.height() < 8) return;
  const float width = slot_width(rest, pool), height = std::min(rest.height(), kCell);
  const bool numbers = rest.height() >= height + kNumber && width >= 14;
  float x = rest.x0;
  for (size_t slot = 0; slot < pool.slots.size(); ++slot) {
    if (pool.block_len > 1 && slot > 0 && static_cast<int>(slot) % pool.block_len == 0) x += kBlockGap;
    const Rect place{x, rest.y0, x + width - (width >= 6 ? 1.0f : 0.0f), rest.y0 + height};
    x += width;
    draw_slot(panel, place, pool.slots[slot]);
    if (numbers)
      panel.canvas.text_in({place.x0, place.y1, place.x1, place.y1 + kNumber}, Type::small, muted,
                           fmt::format("{}", slot), Align::center, MayCut{"the tooltip has the number"});
    if (touch("slot", static_cast<int>(slot), place).hovered) tooltip(panel, {}, pool.slots[slot].tooltip);
  }
}

}  // namespace lastrow::ui
