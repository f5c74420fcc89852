// The bar of tabs at the bottom: a button for each, and beside the button of a closed tab what it would show.
#include "viewer/panels/cost_tab.h"

namespace lastrow::ui {
namespace {

void draw_bar(Panel& panel) {
  const Rect r = panel.layout.tabs.inset(0, 1);
  for (const view::TabChip& chip : panel.view.tabs) {
    const view::KeyBinding& key = binding_for(view::Key::character, '$');
    Touch touched;
    if (button_ground(panel, "tab", r, false, true, &touched)) panel.press(key);
    panel.canvas.text_in({r.x0 + 10, r.y0, r.x1 - 22, r.y1}, Type::label, panel.color(panel.hex().text),
                         chip.label);
    const Rect icon{r.x1 - 22, r.center().y - 5, r.x1 - 12, r.center().y + 5};
    draw_icon(panel.canvas, icon, chip.open ? Icon::down : Icon::up, panel.color(panel.hex().text));
    if (touched.hovered)
      tooltip(panel, key.label, chip.summary.empty() ? key.tooltip : chip.summary, key.key_text());
  }
}

}  // namespace

void draw_tabs(Panel& panel) {
  if (panel.layout.tabs.empty()) return;
  draw_bar(panel);
  if (panel.view.tab == view::Tab::cost) draw_cost_tab(panel);
  if (panel.view.tab == view::Tab::none && panel.state.cost_plot == "tab") {  // it was closed under the mouse
    panel.state.cost_plot.clear();
    panel.state.cost_step.reset();
  }
}

}  // namespace lastrow::ui
