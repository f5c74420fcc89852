// What opens over the window: the menu of pokes, the boxes, the lists of choices.
#include "viewer/panels/boxes.h"

namespace lastrow::ui {
namespace {

void draw_poke_menu(Panel& panel) {
  constexpr const char* kId = "poke";
  const std::optional<view::PokeMenu>& menu = panel.view.poke_menu;
  if (!menu) {
    if (panel.state.menu_shown &&
        ImGui::BeginPopup(kId)) {  // Esc has closed it: then ImGui must not keep it open
      ImGui::CloseCurrentPopup();
      ImGui::EndPopup();
    }
    panel.state.menu_shown.reset();
    return;
  }
  const Canvas& canvas = panel.canvas;
  const Rect place = place_of(panel.layout.panes[static_cast<size_t>(menu->target.side)], menu->target);
  const Rect anchor = place.empty() ? Rect{400, 300, 400, 300} : place;
  if (panel.state.menu_shown != menu->target) {
    panel.state.menu_shown = menu->target;
    ImGui::OpenPopup(kId);
  }
  ImGui::SetNextWindowPos({anchor.x1 + 4, anchor.y1 + 4}, ImGuiCond_Appearing);
  bool chosen = false;
  const bool open = ImGui::BeginPopup(kId);
  if (open) {
    ImGui::PushFont(canvas.fonts().of(Type::label_bold).font);
    ImGui::TextUnformatted(canvas.fonts().spelt(menu->title).c_str());
    ImGui::PopFont();
    ImGui::Separator();
    for (const view::MenuEntry& entry : menu->entries) {
      const std::string text = canvas.fonts().spelt(entry.label);
      if (ImGui::Selectable(text.c_str(), false, entry.enabled ? 0 : ImGuiSelectableFlags_Disabled)) {
        panel.send(entry.command);
        chosen = true;
      }
      if (ImGui::IsItemHovered(ImGuiHoveredFlags_AllowWhenDisabled))
        tooltip(panel, {}, entry.enabled ? entry.tooltip : entry.reason);
    }
    ImGui::EndPopup();
  }
  if (chosen || !open) panel.send(view::ClosePokeMenu{});
}

}  // namespace

void draw_menus(Panel& panel) {
  if (panel.view.ready) draw_poke_menu(panel);
  if (!panel.view.prompt_box.open && !panel.view.file_box.open) close_fields(panel.state);
  draw_prompt_box(panel);
  draw_file_box(panel);
  draw_choice_list(panel);
}

}  // namespace lastrow::ui
