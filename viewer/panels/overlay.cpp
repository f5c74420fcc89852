#include "viewer/panels/overlay.h"

namespace lastrow::ui {

Overlay::Overlay(Panel& under, const char* id, const Rect& place, bool takes_keyboard)
    : canvas_(begin(id, place, takes_keyboard), under.canvas.colors(), under.canvas.fonts(),
              under.canvas.scale()),
      panel_{canvas_, under.view, under.progress, under.layout, under.state, under.commands} {}

Overlay::~Overlay() {
  ImGui::End();
  ImGui::PopStyleColor();
  ImGui::PopStyleVar(3);
}

ImDrawList* Overlay::begin(const char* id, const Rect& place, bool takes_keyboard) {
  constexpr ImGuiWindowFlags kFlags = ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove |
                                      ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoNav |
                                      ImGuiWindowFlags_NoScrollWithMouse;
  ImGui::SetNextWindowPos({place.x0, place.y0});
  ImGui::SetNextWindowSize({place.width(), place.height()});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {0, 0});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 0);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, 0);
  ImGui::PushStyleColor(ImGuiCol_WindowBg, ImVec4(0, 0, 0, 0));
  ImGui::Begin(id, nullptr, takes_keyboard ? kFlags : kFlags | ImGuiWindowFlags_NoFocusOnAppearing);
  return ImGui::GetWindowDrawList();
}

ModalBox::ModalBox(Panel& under, const char* id, const Rect& box) : over_(under, id, under.layout.screen) {
  Panel& panel = over_.panel();
  const bool dark = panel.view.theme == view::Theme::dark;
  panel.canvas.fill(panel.layout.screen, panel.color(panel.hex().text, dark ? 0.12f : 0.35f));
  panel.canvas.fill_round(box, panel.color(panel.hex().pane), 8);
  panel.canvas.frame_round(box, panel.color(panel.hex().line), 8);
  outside_ = ImGui::IsMouseClicked(ImGuiMouseButton_Left) &&
             ImGui::IsWindowHovered(ImGuiHoveredFlags_AllowWhenBlockedByActiveItem) &&
             !box.contains(ImGui::GetIO().MousePos);
}

bool text_button(Panel& panel, const char* id, const Rect& r, std::string_view text, bool primary,
                 bool enabled, Touch* touched) {
  const bool clicked = button_ground(panel, id, r, primary && enabled, enabled, touched);
  const Hex ink = primary && enabled ? panel.hex().on_accent : panel.hex().text;
  panel.canvas.text_in(r.inset(4, 0), primary ? Type::label_bold : Type::label,
                       panel.color(ink, enabled ? 1.0f : 0.4f), text, Align::center);
  return clicked;
}

}  // namespace lastrow::ui
