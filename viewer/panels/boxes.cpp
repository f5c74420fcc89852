#include "viewer/panels/boxes.h"

#include <utility>

namespace lastrow::ui {

namespace {

TextField& field_of(Panel& panel, view::Field field) {
  return panel.state.fields[static_cast<size_t>(field)];
}

}  // namespace

void take_over_texts(Panel& panel, OpenBox box, uint64_t serial,
                     std::initializer_list<std::pair<view::Field, const std::string*>> texts) {
  PanelState& state = panel.state;
  if (state.box == box && state.box_serial == serial) return;
  if (state.box != box) close_fields(state);
  state.box = box;
  state.box_serial = serial;
  for (const auto& [field, text] : texts)
    if (field_of(panel, field).value() != *text) field_of(panel, field).set(*text);
}

void close_fields(PanelState& state) {
  state.box = OpenBox::none;
  state.box_had_keyboard = state.box_entered = false;
  for (TextField& field : state.fields) field.active = false;
}

void draw_field(Panel& panel, view::Field field, const Rect& r) {
  TextField& text = field_of(panel, field);
  constexpr const char* kIds[] = {"##prompt", "##temperature", "##seed", "##path"};
  const bool numbers = field == view::Field::temperature || field == view::Field::seed;
  if (draw_text_field(panel.canvas, kIds[static_cast<size_t>(field)], text, r,
                      numbers ? Type::mono : Type::body))
    panel.send(view::EditField{field, text.value(), true});
}

void finish_fields(Panel& panel, view::Field main) {
  if (std::exchange(panel.state.box_entered, false)) panel.send(view::Confirm{});
  for (const TextField& field : panel.state.fields) panel.state.box_had_keyboard |= field.active;
  if (ImGui::IsAnyItemActive() || ImGui::IsMouseDown(ImGuiMouseButton_Left)) return;
  TextField& field = field_of(panel, main);
  field.wants_keyboard = true;
  field.caret_to_end = panel.state.box_had_keyboard;  // the first time, the whole text is selected
}

}  // namespace lastrow::ui
