// Hides what differs between Dear ImGui 1.86 (keys are GLFW codes) and later versions (keys are ImGuiKey).
//
// Signs and letters are read as typed characters, so that "[" or "?" work on every keyboard layout; only keys
// without a character, and letters with Ctrl, go by code.
#pragma once

#include <imgui.h>

#include "viewer/view_model/commands.h"

#if IMGUI_VERSION_NUM < 18700
#include <GLFW/glfw3.h>
#endif

namespace lastrow::ui {

inline bool is_pressed(view::Key key, char letter, bool repeat) {
#if IMGUI_VERSION_NUM < 18700
  constexpr int kCodes[] = {0,
                            GLFW_KEY_SPACE,
                            GLFW_KEY_LEFT,
                            GLFW_KEY_RIGHT,
                            GLFW_KEY_HOME,
                            GLFW_KEY_END,
                            GLFW_KEY_ENTER,
                            GLFW_KEY_ESCAPE,
                            GLFW_KEY_F11};
  const int code = key == view::Key::character ? GLFW_KEY_A + (letter - 'a') : kCodes[static_cast<int>(key)];
#else
  constexpr ImGuiKey kCodes[] = {ImGuiKey_None,       ImGuiKey_Space,  ImGuiKey_LeftArrow,
                                 ImGuiKey_RightArrow, ImGuiKey_Home,   ImGuiKey_End,
                                 ImGuiKey_Enter,      ImGuiKey_Escape, ImGuiKey_F11};
  const ImGuiKey code = key == view::Key::character ? static_cast<ImGuiKey>(ImGuiKey_A + (letter - 'a'))
                                                    : kCodes[static_cast<int>(key)];
#endif
  return ImGui::IsKeyPressed(code, repeat);
}

/// Whether the binding's keys went down since the last frame. Arrow keys repeat while held.
inline bool is_pressed(const view::KeyBinding& binding) {
  const ImGuiIO& io = ImGui::GetIO();
  if (binding.key == view::Key::character && !binding.ctrl) {
    if (io.KeyCtrl || io.KeyAlt) return false;
    for (const ImWchar typed : io.InputQueueCharacters) {
      const ImWchar lower = typed >= 'A' && typed <= 'Z' ? static_cast<ImWchar>(typed + 32) : typed;
      if (lower == static_cast<ImWchar>(binding.character)) return true;
    }
    return false;
  }
  if (io.KeyCtrl != binding.ctrl || io.KeyShift != binding.shift || io.KeyAlt) return false;
  const bool repeat = binding.key == view::Key::left || binding.key == view::Key::right;
  if (is_pressed(binding.key, binding.character, repeat)) return true;
#if IMGUI_VERSION_NUM < 18700
  return binding.key == view::Key::enter && ImGui::IsKeyPressed(GLFW_KEY_KP_ENTER, false);
#else
  return binding.key == view::Key::enter && ImGui::IsKeyPressed(ImGuiKey_KeypadEnter, false);
#endif
}

}  // namespace lastrow::ui
