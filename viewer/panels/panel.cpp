#include "viewer/panels/panel.h"

#include "core/error.h"
#include "viewer/imgui/versions.h"

namespace lastrow::ui {
namespace {

Touch touch_here(const Rect& r) {
  Touch result;
  ImGui::SetCursorScreenPos({r.x0, r.y0});
  result.clicked = ImGui::InvisibleButton("", {std::max(1.0f, r.width()), std::max(1.0f, r.height())});
  result.hovered = ImGui::IsItemHovered();
  return result;
}

}  // namespace

void Panel::send(const view::Command& command) { commands.emplace_back(command); }
void Panel::press(const view::KeyBinding& key) { commands.push_back(key.command); }

Touch touch(const char* id, const Rect& r) { return touch(id, 0, r); }

Touch touch(const char* id, int index, const Rect& r) {
  ImGui::PushID(id);
  ImGui::PushID(index);
  const Touch result = touch_here(r);
  ImGui::PopID();
  ImGui::PopID();
  return result;
}

void tooltip(Panel& panel, std::string_view title, std::string_view text, std::string_view keys) {
  const Fonts& fonts = panel.canvas.fonts();
  ImGui::BeginTooltip();
  ImGui::PushTextWrapPos(340);
  const auto write = [&](Type type, Hex color, const std::string& line) {
    push_font(fonts.of(type).font, fonts.of(type).size);
    ImGui::PushStyleColor(ImGuiCol_Text, to_u32(color));
    ImGui::TextUnformatted(line.c_str());
    ImGui::PopStyleColor();
    ImGui::PopFont();
  };
  if (!title.empty()) write(Type::label_bold, panel.hex().text, fonts.spelt(title));
  if (!keys.empty()) {
    ImGui::SameLine();
    write(Type::mono_small, panel.hex().muted, fonts.spelt(keys));
  }
  if (!text.empty()) write(Type::label, panel.hex().text, fonts.spelt(text));
  ImGui::PopTextWrapPos();
  ImGui::EndTooltip();
}

bool button_ground(Panel& panel, const char* id, const Rect& r, bool active, bool enabled, Touch* touched) {
  const Touch t = touch(id, r);
  if (touched != nullptr) *touched = t;
  Hex ground = active ? panel.hex().accent : panel.hex().raised;
  if (enabled && t.hovered) ground = active ? mix(ground, panel.hex().text, 0.15f) : panel.hex().hover;
  panel.canvas.fill_round(r, panel.color(ground), 4);
  if (!active) panel.canvas.frame_round(r, panel.color(panel.hex().line), 4);
  return enabled && t.clicked;
}

const view::KeyBinding& binding_for(view::Key key, char character, bool shift, bool ctrl) {
  for (const view::KeyBinding& binding : view::key_table())
    if (binding.key == key && binding.character == character && binding.shift == shift &&
        binding.ctrl == ctrl)
      return binding;
  LASTROW_CHECK(false, "no binding for key {} '{}'", static_cast<int>(key), character);
  return view::key_table().front();
}

void key_button(Panel& panel, const Rect& r, Icon icon, const view::KeyBinding& binding, bool enabled,
                bool active) {
  Touch touched;
  if (button_ground(panel, binding.key_text().c_str(), r, active, enabled, &touched)) panel.press(binding);
  const Hex ink = active ? panel.hex().on_accent : panel.hex().text;
  const float margin = std::min(r.width(), r.height()) * 0.25f;
  draw_icon(panel.canvas, r.inset(margin), icon, panel.color(ink, enabled ? 1.0f : 0.35f));
  if (touched.hovered) tooltip(panel, binding.label, binding.tooltip, binding.key_text());
}

void pane_ground(Panel& panel, const Rect& r) {
  panel.canvas.fill_round(r, panel.color(panel.hex().pane), 6);
  panel.canvas.frame_round(r, panel.color(panel.hex().line), 6);
}

}  // namespace lastrow::ui
