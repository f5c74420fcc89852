#include "viewer/panels/boxes.h"

#include <utility>

namespace lastrow::ui {

namespace {

// ImGui gives a field the keyboard two frames after the request. A second request while the user already
// types would select the text, and the next key would replace it.
constexpr int kKeyboardFrames = 4;

TextField& field_of(Panel& panel, view::Field field) {
  return panel.state.fields[static_cast<size_t>(field)];
}

}  // namespace

void take_over_texts(Panel& panel, OpenBox box, uint64_t serial,
                     std::initializer_list<std::pair<view::Field, const std::string*>> texts) {
  PanelState& state = panel.state;
  if (state.box == box && state.box_serial == serial) return;
  if (state.box != box) {
    close_fields(state);
    field_of(panel, texts.begin()->first).wants_keyboard = true;  // with the whole text selected
    state.keyboard_due = kKeyboardFrames;
  }
  state.box = box;
  state.box_serial = serial;
  for (const auto& [field, text] : texts)
    if (field_of(panel, field).value() != *text) field_of(panel, field).set(*text);
}

void close_fields(PanelState& state) {
  state.box = OpenBox::none;
  state.box_entered = false;
  state.keyboard_due = 0;
  for (TextField& field : state.fields) field.wants_keyboard = field.caret_to_end = false;
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
  int& due = panel.state.keyboard_due;
  if (ImGui::IsAnyItemActive() || ImGui::IsMouseDown(ImGuiMouseButton_Left)) {
    due = 0;
    return;
  }
  if (due-- > 0) return;
  due = kKeyboardFrames;
  TextField& field = field_of(panel, main);
  field.wants_keyboard = field.caret_to_end = true;
}

}  // namespace lastrow::ui
