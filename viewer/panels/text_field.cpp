#include "viewer/panels/text_field.h"

#include <algorithm>
#include <utility>

namespace lastrow::ui {

namespace {

/// ImGui works on its own copy of the text of an active field, so changes go through this callback.
int while_active(ImGuiInputTextCallbackData* data) {
  TextField& field = *static_cast<TextField*>(data->UserData);
  if (std::exchange(field.replaced, false)) {
    data->DeleteChars(0, data->BufTextLen);
    data->InsertChars(0, field.text.data());
    field.caret_to_end = true;
  }
  if (std::exchange(field.caret_to_end, false))
    data->CursorPos = data->SelectionStart = data->SelectionEnd = data->BufTextLen;
  return 0;
}

}  // namespace

void TextField::set(std::string_view to) {
  text.fill(0);
  to.copy(text.data(), text.size() - 1);
  replaced = true;
}

bool draw_text_field(Canvas& canvas, const char* id, TextField& field, const Rect& r, Type type) {
  const TypeFace& face = canvas.fonts().of(type);
  ImGui::SetCursorScreenPos({r.x0, r.y0});
  ImGui::PushFont(face.font);
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, {8, std::max(2.0f, (r.height() - face.size) / 2 - 1)});
  ImGui::SetNextItemWidth(r.width());
  if (std::exchange(field.wants_keyboard, false)) ImGui::SetKeyboardFocusHere();
  const std::string before = field.value();
  ImGui::InputText(id, field.text.data(), field.text.size(),
                   ImGuiInputTextFlags_AutoSelectAll | ImGuiInputTextFlags_CallbackAlways, while_active,
                   &field);
  field.active = ImGui::IsItemActive();
  if (!field.active) field.replaced = false;  // ImGui reads the text again when the field gets the keyboard
  ImGui::PopStyleVar();
  ImGui::PopFont();
  return field.value() != before;
}

}  // namespace lastrow::ui
