// The inspector: what the mouse points at, and what was pinned with a click.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "viewer/panels/blocks.h"
#include "viewer/panels/panel.h"

namespace lastrow::ui {
namespace {

void heading(Panel& panel, Rect& column, std::string_view text) {
  column.cut_top(6);
  column.cut_top(panel.canvas.text_lines(column, Type::label_bold, panel.color(panel.hex().text), text, 2,
                                         kInspectorLine));
  column.cut_top(2);
}

void paragraph(Panel& panel, Rect& column, Type type, Hex color, std::string_view text, int max_lines) {
  if (text.empty() || column.height() < kInspectorLine) return;
  column.cut_top(panel.canvas.text_lines(
      column, type, panel.color(color), text,
      std::min(max_lines, static_cast<int>(column.height() / kInspectorLine)), kInspectorLine));
}

void draw_hover(Panel& panel, Rect& column) {
  const view::Inspector& inspector = panel.view.inspector;
  heading(panel, column, inspector.hover_title);
  paragraph(panel, column, Type::label, panel.hex().text, inspector.hover_line, 6);
}

/// A NaN counts as the largest, so that it is seen and the order is defined.
float magnitude(const view::Product& p) { return std::isnan(p.product) ? INFINITY : std::abs(p.product); }

/// The products with the largest magnitude, at most n, in their original order.
std::vector<const view::Product*> largest_products(const view::Pinned& pinned, size_t n) {
  std::vector<const view::Product*> out;
  for (const view::Product& product : pinned.products) out.push_back(&product);
  if (out.size() <= n) return out;
  std::nth_element(
      out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n), out.end(),
      [](const view::Product* a, const view::Product* b) { return magnitude(*a) > magnitude(*b); });
  out.resize(n);
  std::sort(out.begin(), out.end());
  return out;
}

/// The products as bars to the left and right of a zero line. If not all fit, the largest ones.
void draw_products(Panel& panel, Rect& column, const view::Pinned& pinned) {
  if (pinned.products.empty() || column.height() < 4 * kInspectorLine) return;
  heading(panel, column, pinned.products_title);
  float largest = 1e-9f, numbers = 56;
  for (const view::Product& product : pinned.products) {
    if (std::isfinite(product.product)) largest = std::max(largest, std::abs(product.product));
    numbers = std::max(numbers, panel.canvas.width(Type::mono_small, product.text) + 6);
  }
  constexpr float kLeastBar = 13, kMostBar = 15;
  const bool beside = panel.layout.inspector_pops_over;  // the provenance stands beside them
  const float below = beside ? 2.0f : static_cast<float>(pinned.provenance.size() + 7);
  const float room = std::max(3 * kLeastBar, column.height() - below * kInspectorLine);
  const auto shown = largest_products(pinned, static_cast<size_t>(room / kLeastBar));
  const float height = std::min(kMostBar, std::floor(room / static_cast<float>(shown.size())));
  for (const view::Product* product : shown) {
    Rect row = column.cut_top(height);
    const Rect label = row.cut_left(62), number = row.cut_right(numbers);
    const float middle = row.center().x, half = row.width() / 2;
    const float length = std::isfinite(product->product) ? product->product / largest * half : 0;
    const Rect bar{std::min(middle, middle + length), row.y0 + 1, std::max(middle, middle + length),
                   row.y1 - 1};
    panel.canvas.fill(bar, panel.color(product->product < 0 ? panel.hex().negative : panel.hex().positive));
    panel.canvas.vertical(middle, row.y0, row.y1, panel.color(panel.hex().line));
    panel.canvas.text_in(label, Type::small, panel.color(panel.hex().muted), product->label);
    panel.canvas.text_in(number, Type::mono_small, panel.color(panel.hex().text), product->text,
                         Align::right);
  }
  if (shown.size() < pinned.products.size())
    paragraph(panel, column, Type::small, panel.hex().muted,
              fmt::format("the {} largest of {}", shown.size(), pinned.products.size()), 1);
  paragraph(panel, column, Type::label, panel.hex().text, pinned.total_text, 2);
}

void draw_pinned_title(Panel& panel, Rect& column) {
  const view::Pinned& pinned = *panel.view.inspector.pinned;
  Rect title = column;
  Rect corner = title.cut_right(24);
  const Rect close = corner.cut_top(24).inset(2);
  if (button_ground(panel, "unpin", close)) panel.send(view::Pin{pinned.target});
  draw_icon(panel.canvas, close.inset(4), Icon::close, panel.color(panel.hex().muted));
  heading(panel, title, pinned.title);
  column.y0 = title.y0 + 2;
}

void draw_pinned_text(Panel& panel, Rect& column) {
  const view::Pinned& pinned = *panel.view.inspector.pinned;
  if (!pinned.values.empty()) {
    draw_values(panel.canvas, column.cut_top(20), pinned.values.data(),
                static_cast<int>(pinned.values.size()), pinned.scale, 1);
    column.cut_top(4);
  }
  paragraph(panel, column, Type::label, panel.hex().text, pinned.formula, 4);
  for (const std::string& read : pinned.reads)
    paragraph(panel, column, Type::label_bold, panel.hex().text, read, 2);
}

void draw_provenance(Panel& panel, Rect& column) {
  const view::Pinned& pinned = *panel.view.inspector.pinned;
  if (pinned.provenance.empty() || column.height() < 3 * kInspectorLine) return;
  heading(panel, column, "Where it comes from");
  for (const auto& [name, value] : pinned.provenance) {
    if (column.height() < kInspectorLine) break;
    Rect row = column;
    panel.canvas.text_in(row.cut_left(92).cut_top(kInspectorLine), Type::label,
                         panel.color(panel.hex().muted), name);
    paragraph(panel, row, Type::label, panel.hex().text, value, 3);
    column.y0 = row.y0;
  }
}

void draw_pinned(Panel& panel, Rect column) {
  if (panel.view.inspector.hovered) {
    panel.canvas.horizontal(column.x0, column.x1, column.y0 + 2, panel.color(panel.hex().line));
    column.cut_top(4);
  }
  draw_pinned_title(panel, column);
  draw_pinned_text(panel, column);
  draw_products(panel, column, *panel.view.inspector.pinned);
  draw_provenance(panel, column);
}

/// In a narrow window the hovered line is a tooltip,
/// and the pinned part is a box over the bars at the bottom.
void draw_popover(Panel& panel) {
  const view::Inspector& inspector = panel.view.inspector;
  if (inspector.hovered && panel.state.hovered == inspector.hovered && !panel.view.poke_menu)
    tooltip(panel, inspector.hover_title, inspector.hover_line);
  panel.state.popover = {};
  if (!inspector.pinned) return;
  const Rect box = panel.layout.inspector;
  panel.state.popover = box;
  panel.canvas.fill_round(box, panel.color(panel.hex().raised), 6);
  panel.canvas.frame_round(box, panel.color(panel.hex().muted), 6, 2);
  Rect rest = box.inset(12, 6);
  const float third = std::floor((rest.width() - 32) / 3);
  Rect text = rest.cut_left(third);
  rest.cut_left(16);
  Rect products = rest.cut_left(third);
  rest.cut_left(16);
  Rect right = rest;
  const Rect close{rest.x1 - 22, rest.y0, rest.x1, rest.y0 + 22};
  if (button_ground(panel, "unpin", close)) panel.send(view::Pin{inspector.pinned->target});
  draw_icon(panel.canvas, close.inset(4), Icon::close, panel.color(panel.hex().muted));
  right.x1 -= 26;
  heading(panel, text, inspector.pinned->title);
  draw_pinned_text(panel, text);
  draw_products(panel, products, *inspector.pinned);
  draw_provenance(panel, right);
}

}  // namespace

void draw_inspector(Panel& panel) {
  if (panel.layout.inspector.empty()) return;
  if (panel.layout.inspector_pops_over) {
    draw_popover(panel);
    return;
  }
  pane_ground(panel, panel.layout.inspector);
  Rect column = panel.layout.inspector.inset(12, 4);
  panel.canvas.clip(panel.layout.inspector);
  const view::Inspector& inspector = panel.view.inspector;
  if (inspector.hovered) draw_hover(panel, column);
  if (inspector.pinned) {
    draw_pinned(panel, column);
  } else {
    if (inspector.hovered) {
      column.cut_top(8);
      panel.canvas.horizontal(column.x0, column.x1, column.y0, panel.color(panel.hex().line));
    }
    draw_worked_example(panel, column);
  }
  panel.canvas.unclip();
}

}  // namespace lastrow::ui
