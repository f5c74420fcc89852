#include "viewer/panels/cost_tab.h"

#include <algorithm>
#include <cmath>

#include "viewer/panels/roofline_plot.h"

namespace lastrow::ui {
namespace {

template <typename Choices, typename Send>
void choice_buttons(Panel& panel, Rect row, const Choices& choices, const Send& send) {
  const float width =
      (row.width() - 4 * static_cast<float>(choices.size() - 1)) / static_cast<float>(choices.size());
  for (const auto& choice : choices) {
    const Rect r = row.cut_left(width);
    row.cut_left(4);
    Touch touched;
    if (button_ground(panel, choice.label.c_str(), r, choice.selected, true, &touched)) send(choice.value);
    panel.canvas.text_in(r, Type::label,
                         panel.color(choice.selected ? panel.hex().on_accent : panel.hex().text),
                         choice.label, Align::center);
    if (touched.hovered) tooltip(panel, choice.label, choice.tooltip);
  }
}

/// Buttons, the ratio in large, and the sentence with the numbers.
void draw_summary(Panel& panel, Rect r) {
  const view::CostCurves& curves = panel.view.cost_curves;
  choice_buttons(panel, r.cut_top(24), curves.quantities,
                 [&](view::CostQuantity q) { panel.send(view::SetCostQuantity{q}); });
  r.cut_top(4);
  choice_buttons(panel, r.cut_top(24), curves.scales,
                 [&](view::CostScale s) { panel.send(view::SetCostScale{s}); });
  r.cut_top(8);
  const Touch touched = touch("cost summary", r);
  if (touched.hovered) tooltip(panel, curves.y.title, curves.tooltip);
  panel.canvas.text_in(r.cut_top(44), Type::display, panel.color(panel.hex().text), curves.ratio);
  const bool fits = panel.canvas.width(Type::label_bold, curves.ratio_caption) <= r.width();
  panel.canvas.text_in(r.cut_top(18), fits ? Type::label_bold : Type::small, panel.color(panel.hex().text),
                       curves.ratio_caption);
  r.cut_top(3);
  panel.canvas.text_lines(r, Type::small, panel.color(panel.hex().muted), curves.caption, 4, 15);
}

}  // namespace

CostTabPlaces cost_tab_places(const Rect& tab) {
  CostTabPlaces places;
  Rect rest = tab.inset(12, 8);
  places.roofline = rest.cut_right(std::floor(tab.width() / 3) - 12);
  rest.cut_right(24);
  places.summary = rest.cut_left(std::clamp(std::floor(tab.width() * 0.14f), 176.0f, 240.0f));
  rest.cut_left(8);
  places.curve = rest;
  return places;
}

void draw_cost_tab(Panel& panel) {
  pane_ground(panel, panel.layout.tab);
  const CostTabPlaces places = cost_tab_places(panel.layout.tab);
  draw_summary(panel, places.summary);
  draw_cost_curve(panel, places.curve, "tab");
  panel.canvas.vertical(places.roofline.x0 - 12, places.roofline.y0, places.roofline.y1,
                        panel.color(panel.hex().line));
  draw_roofline_plot(panel, places.roofline);
}

}  // namespace lastrow::ui
