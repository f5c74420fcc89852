// The list of models or of backends, under its button in the bar of tokens. It covers the whole window, so
// that a click beside the list only closes it, and nothing under the list answers the mouse.
#include <algorithm>

#include "viewer/panels/boxes.h"
#include "viewer/panels/overlay.h"

namespace lastrow::ui {
namespace {

constexpr float kEntryRow = 30;

void draw_entry(Panel& panel, const view::Choice& choice, int index, Rect row, bool models) {
  const Touch touched = touch("choice", index, row);
  const bool lit = touched.hovered && choice.usable;
  if (choice.selected)
    panel.canvas.fill_round(row, panel.color(panel.hex().accent), 4);
  else if (lit)
    panel.canvas.fill_round(row, panel.color(panel.hex().hover), 4);
  const Hex ink = choice.selected ? panel.hex().on_accent
                  : choice.usable ? panel.hex().text
                                  : panel.hex().muted;
  panel.canvas.text_in(row.inset(10, 0), Type::label, panel.color(ink, choice.usable ? 1.0f : 0.7f),
                       choice.label);
  if (touched.hovered && !choice.usable) tooltip(panel, choice.name + " cannot be used here", choice.reason);
  if (!touched.clicked || !choice.usable) return;
  if (models)
    panel.send(view::SetModel{choice.name});
  else
    panel.send(view::SetBackend{choice.name});
}

}  // namespace

void draw_choice_list(Panel& panel) {
  const view::ChoiceList open = panel.view.open_choices;
  if (open == view::ChoiceList::none) return;
  const bool models = open == view::ChoiceList::models;
  const auto& choices = models ? panel.view.models : panel.view.backends;
  const Rect button = models ? models_button(panel.layout, panel) : backends_button(panel.layout, panel);
  float width = button.width();
  for (const view::Choice& choice : choices)
    width = std::max(width, panel.canvas.width(Type::label, choice.label) + 36);
  width = std::min(width, panel.layout.screen.width() - button.x0 - 16);
  const float height = kEntryRow * static_cast<float>(choices.size()) + 12 + (models ? kEntryRow + 9 : 0);
  const Rect box{button.x0, button.y1 + 3, button.x0 + width, button.y1 + 3 + height};
  Overlay over(panel, "choices", panel.layout.screen);
  Panel& top = over.panel();
  top.canvas.fill_round(box.inset(-2).moved(1, 3), top.color(top.hex().text, 0.12f), 8);
  top.canvas.fill_round(box, top.color(top.hex().raised), 6);
  top.canvas.frame_round(box, top.color(top.hex().line), 6);
  Rect inside = box.inset(6);
  for (size_t i = 0; i < choices.size(); ++i)
    draw_entry(top, choices[i], static_cast<int>(i), inside.cut_top(kEntryRow), models);
  if (models) {
    inside.cut_top(4);
    top.canvas.horizontal(inside.x0, inside.x1, inside.y0, top.color(top.hex().line));
    inside.cut_top(5);
    Rect row = inside.cut_top(kEntryRow);
    const Touch touched = touch("open a file", row);
    if (touched.hovered) top.canvas.fill_round(row, top.color(top.hex().hover), 4);
    if (touched.clicked) top.send(view::OpenFileBox{true});
    top.canvas.text_in(row.inset(10, 0), Type::label, top.color(top.hex().text), "Open a model file …");
  }
  const bool on_window =
      ImGui::IsMouseClicked(ImGuiMouseButton_Left) || ImGui::IsMouseClicked(ImGuiMouseButton_Right);
  if (on_window && ImGui::IsWindowHovered(ImGuiHoveredFlags_AllowWhenBlockedByActiveItem) &&
      !box.contains(ImGui::GetIO().MousePos))
    top.send(view::OpenChoices{view::ChoiceList::none});
}

}  // namespace lastrow::ui
