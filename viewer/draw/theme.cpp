#include "viewer/draw/theme.h"

#include <algorithm>
#include <cmath>

namespace lastrow::ui {
namespace {

constexpr Palette kLight{.window = 0xF3F4F6,
                         .pane = 0xFFFFFF,
                         .text = 0x1B1E24,
                         .muted = 0x5A606B,
                         .line = 0xD7DAE0,
                         .raised = 0xFFFFFF,
                         .hover = 0xE6E9EF,
                         .accent = 0x1F4FA3,
                         .on_accent = 0xFFFFFF,
                         .error = 0xA8201A,
                         .now = 0x993404,
                         .again_needed = 0x9C942B,
                         .again_unused = 0xE254BC,
                         .cache = 0x22309A,
                         .masked = 0x6B6E73,
                         .absent = 0x8A8F99,
                         .not_stored = 0x8A8F99,
                         .negative = 0x6A3DA1,
                         .zero = 0xF5F5F3,
                         .positive = 0x14633F,
                         .broken = 0x000000,
                         .on_broken = 0xFFFFFF};

constexpr Palette kDark{.window = 0x0F1115,
                        .pane = 0x16191F,
                        .text = 0xE6E9EE,
                        .muted = 0x9AA1AD,
                        .line = 0x2C313A,
                        .raised = 0x1D2129,
                        .hover = 0x2A303B,
                        .accent = 0x8AB4FF,
                        .on_accent = 0x0F1115,
                        .error = 0xFF8A80,
                        .now = 0xF0501F,
                        .again_needed = 0xFDE047,
                        .again_unused = 0xC6809F,
                        .cache = 0x3B82F6,
                        .masked = 0xE2E6EC,
                        .absent = 0x6C7480,
                        .not_stored = 0x6C7480,
                        .negative = 0xC9A6F5,
                        .zero = 0x242830,
                        .positive = 0x66CB9E,
                        .broken = 0x000000,
                        .on_broken = 0xFFFFFF};

}  // namespace

const Palette& palette(view::Theme theme) { return theme == view::Theme::dark ? kDark : kLight; }

Hex state_color(const Palette& palette, view::State state) {
  switch (state) {
    case view::State::computed_now:
      return palette.now;
    case view::State::again_needed:
      return palette.again_needed;
    case view::State::again_unused:
      return palette.again_unused;
    case view::State::from_cache:
      return palette.cache;
    case view::State::masked:
      return palette.masked;
    case view::State::not_stored:
      return palette.not_stored;
    default:
      return palette.absent;
  }
}

Hex mix(Hex from, Hex to, float fraction) {
  Hex color = 0;
  for (int shift = 16; shift >= 0; shift -= 8) {
    const float a = static_cast<float>((from >> shift) & 255), b = static_cast<float>((to >> shift) & 255);
    color |= static_cast<Hex>(std::lround(a + (b - a) * fraction)) << shift;
  }
  return color;
}

Colors::Colors(view::Theme theme) : theme_(theme), palette_(&palette(theme)) {
  for (int i = -kSteps; i <= kSteps; ++i)
    values_[static_cast<size_t>(i + kSteps)] =
        mix_oklab(palette_->zero, i < 0 ? palette_->negative : palette_->positive,
                  static_cast<double>(std::abs(i)) / kSteps);
}

ImU32 Colors::value(float x, float opacity) const {
  if (std::isnan(x)) return to_u32(palette_->broken);
  const float clamped = std::clamp(x, -1.0f, 1.0f);
  const Hex color = values_[static_cast<size_t>(static_cast<int>(std::lround(clamped * kSteps)) + kSteps)];
  return to_u32(opacity >= 1 ? color : mix(palette_->pane, color, opacity));
}

void apply_style(const Colors& colors) {
  const Palette& p = colors.hex();
  ImGuiStyle& style = ImGui::GetStyle();
  style = ImGuiStyle();
  style.WindowPadding = {12, 10};
  style.FramePadding = {8, 5};
  style.ItemSpacing = {8, 6};
  style.WindowRounding = style.PopupRounding = style.ChildRounding = 6;
  style.FrameRounding = 4;
  style.PopupBorderSize = style.WindowBorderSize = 1;
  style.FrameBorderSize = 0;
  const auto set = [&](ImGuiCol which, Hex color, float alpha = 1.0f) {
    style.Colors[which] = ImGui::ColorConvertU32ToFloat4(to_u32(color, alpha));
  };
  set(ImGuiCol_Text, p.text);
  set(ImGuiCol_TextDisabled, p.muted);
  set(ImGuiCol_WindowBg, p.window);
  set(ImGuiCol_ChildBg, p.pane, 0);
  set(ImGuiCol_PopupBg, p.raised);
  set(ImGuiCol_Border, mix(p.line, p.muted, 0.35f));
  set(ImGuiCol_BorderShadow, p.pane, 0);
  set(ImGuiCol_FrameBg, p.window);
  set(ImGuiCol_FrameBgHovered, p.hover);
  set(ImGuiCol_FrameBgActive, p.hover);
  set(ImGuiCol_Header, p.hover);
  set(ImGuiCol_HeaderHovered, p.hover);
  set(ImGuiCol_HeaderActive, mix(p.hover, p.accent, 0.2f));
  set(ImGuiCol_Button, p.raised);
  set(ImGuiCol_ButtonHovered, p.hover);
  set(ImGuiCol_ButtonActive, mix(p.hover, p.accent, 0.2f));
  set(ImGuiCol_Separator, p.line);
  set(ImGuiCol_TextSelectedBg, p.accent, 0.3f);
  set(ImGuiCol_NavHighlight, p.accent);
  set(ImGuiCol_ModalWindowDimBg, p.text, 0.3f);
}

}  // namespace lastrow::ui
