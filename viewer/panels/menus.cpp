// What opens over the window: the menu of pokes, and the box for another prompt.
#include <algorithm>
#include <utility>

#include "viewer/panels/panel.h"

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

void draw_prompt_box(Panel& panel) {
  const view::PromptBox& box = panel.view.prompt_box;
  if (!box.open) {
    panel.state.prompt_shown = false;
    return;
  }
  const Fonts& fonts = panel.canvas.fonts();
  const Rect& strip = panel.layout.tokens;
  ImGui::SetNextWindowPos({strip.x0 + 136, strip.y0 + 4});
  ImGui::SetNextWindowSize({std::min(720.0f, strip.width() - 160), 0});
  ImGui::PushStyleColor(ImGuiCol_WindowBg, ImGui::GetStyleColorVec4(ImGuiCol_PopupBg));
  ImGui::Begin("prompt", nullptr,
               ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings |
                   ImGuiWindowFlags_AlwaysAutoResize);
  const bool appears = !panel.state.prompt_shown;
  if (appears) {
    panel.state.set_prompt(box.text);
    panel.state.prompt_shown = true;
    ImGui::SetWindowFocus();
    ImGui::SetKeyboardFocusHere();
  }
  ImGui::PushFont(fonts.of(Type::body).font);
  ImGui::SetNextItemWidth(-1);
  ImGui::InputText("##text", panel.state.prompt.data(), panel.state.prompt.size(),
                   ImGuiInputTextFlags_AutoSelectAll);
  if (std::exchange(panel.state.prompt_entered, false))
    panel.send(view::SetPrompt{panel.state.prompt.data()});
  ImGui::PopFont();
  const bool wrong = !box.error.empty();
  ImGui::PushStyleColor(ImGuiCol_Text, to_u32(wrong ? panel.hex().error : panel.hex().muted));
  ImGui::TextWrapped("%s", fonts.spelt(wrong ? box.error : box.hint).c_str());
  ImGui::PopStyleColor();
  const bool outside = !appears && ImGui::IsMouseClicked(ImGuiMouseButton_Left) &&
                       !ImGui::IsWindowHovered(ImGuiHoveredFlags_AllowWhenBlockedByActiveItem);
  if (outside) panel.send(view::OpenPrompt{false});
  ImGui::End();
  ImGui::PopStyleColor();
}

}  // namespace

void draw_menus(Panel& panel) {
  draw_poke_menu(panel);
  draw_prompt_box(panel);
}

}  // namespace lastrow::ui
