// The list of models, of backends or of caches, under its button in the bar of tokens. It covers the whole window, so
// that a click beside the list only closes it, and nothing under the list answers the mouse.
#include <algorithm>

#include "viewer/panels/boxes.h"
#include "viewer/panels/overlay.h"

namespace lastrow::ui {
namespace {

constexpr float kEntryRow = 30;

view::Command choose(view::ChoiceList list, const std::string& name) {
  if (list == view::ChoiceList::models) return view::SetModel{name};
  if (list == view::ChoiceList::backends) return view::SetBackend{name};
  return view::SetCache{name};
}

void draw_entry(Panel& panel, const view::Choice& choice, int index, Rect row, view::ChoiceList list) {
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
  panel.send(choose(list, choice.name));
}

/// "Rows kept  [−]  8 rows  [+]": the sizes of the caches in the list.
void draw_sizes(Panel& panel, const view::CacheMenu& menu, Rect row) {
  const auto stepper = [&](const char* id, const std::string& text, view::CacheSize size, const char* what) {
    const float width = std::max(62.0f, panel.canvas.width(Type::label, text) + 12);
    for (const int by : {-1, +1}) {
      ImGui::PushID(by);
      Touch touched;
      if (text_button(panel, id, row.cut_left(26), by < 0 ? "−" : "+", false, true, &touched))
        panel.send(view::ChangeCacheSize{size, by});
      ImGui::PopID();
      if (touched.hovered) tooltip(panel, by < 0 ? "One less" : "One more", what);
      if (by > 0) break;
      panel.canvas.text_in(row.cut_left(width), Type::label, panel.color(panel.hex().text), text,
                           Align::center);
    }
    row.cut_left(18);
  };
  row = row.inset(10, 3);
  stepper("rows", menu.rows_text, view::CacheSize::rows,
          "How many rows a query sees (window), or the cache keeps (budget).");
  stepper("sinks", menu.sinks_text, view::CacheSize::sinks,
          "How many of the first rows a cache with sinks keeps.");
}

/// What the list has besides its entries: below the models a file, above the caches their sizes.
float extra_height(view::ChoiceList list) { return list == view::ChoiceList::backends ? 0 : kEntryRow + 9; }

void draw_rule(Panel& panel, Rect& inside) {
  inside.cut_top(4);
  panel.canvas.horizontal(inside.x0, inside.x1, inside.y0, panel.color(panel.hex().line));
  inside.cut_top(5);
}

void draw_open_file(Panel& panel, Rect row) {
  const Touch touched = touch("open a file", row);
  if (touched.hovered) panel.canvas.fill_round(row, panel.color(panel.hex().hover), 4);
  if (touched.clicked) panel.send(view::OpenFileBox{true});
  panel.canvas.text_in(row.inset(10, 0), Type::label, panel.color(panel.hex().text), "Open a model file …");
}

}  // namespace

void draw_choice_list(Panel& panel) {
  const view::ChoiceList open = panel.view.open_choices;
  if (open == view::ChoiceList::none) return;
  const bool models = open == view::ChoiceList::models, caches = open == view::ChoiceList::caches;
  const auto& choices = models ? panel.view.models : caches ? panel.view.caches.choices : panel.view.backends;
  const Rect button = list_button(panel.layout, panel, open);
  float width = std::max(button.width(), caches ? 300.0f : 0.0f);
  for (const view::Choice& choice : choices)
    width = std::max(width, panel.canvas.width(Type::label, choice.label) + 36);
  width = std::min(width, panel.layout.screen.width() - button.x0 - 16);
  const float height = kEntryRow * static_cast<float>(choices.size()) + 12 + extra_height(open);
  const Rect box{button.x0, button.y1 + 3, button.x0 + width, button.y1 + 3 + height};
  Overlay over(panel, "choices", panel.layout.screen);
  Panel& top = over.panel();
  top.canvas.fill_round(box.inset(-2).moved(1, 3), top.color(top.hex().text, 0.12f), 8);
  top.canvas.fill_round(box, top.color(top.hex().raised), 6);
  top.canvas.frame_round(box, top.color(top.hex().line), 6);
  Rect inside = box.inset(6);
  if (caches) {
    draw_sizes(top, panel.view.caches, inside.cut_top(kEntryRow));
    draw_rule(top, inside);
  }
  for (size_t i = 0; i < choices.size(); ++i)
    draw_entry(top, choices[i], static_cast<int>(i), inside.cut_top(kEntryRow), open);
  if (models) {
    draw_rule(top, inside);
    draw_open_file(top, inside.cut_top(kEntryRow));
  }
  const bool on_window =
      ImGui::IsMouseClicked(ImGuiMouseButton_Left) || ImGui::IsMouseClicked(ImGuiMouseButton_Right);
  if (on_window && ImGui::IsWindowHovered(ImGuiHoveredFlags_AllowWhenBlockedByActiveItem) &&
      !box.contains(ImGui::GetIO().MousePos))
    top.send(view::OpenChoices{view::ChoiceList::none});
}

}  // namespace lastrow::ui
