// The colours of the window, light and dark. A cell's fill shows its value and nothing else; its state is a
// gutter and a pattern, in one of six colours that every kind of colour vision can tell apart (tested).
#pragma once

#include <imgui.h>

#include <array>

#include "viewer/draw/color.h"
#include "viewer/view_model/state/view_state.h"

namespace lastrow::ui {

/// The colours of one theme.
struct Palette {
  Hex window, pane, text;
  Hex muted;   // secondary text; contrast at least 4.5 on window and pane
  Hex line;    // thin lines, outlines of panes
  Hex raised;  // buttons, chips
  Hex hover;   // a button or chip under the mouse
  Hex accent;  // what is selected, or what to do next
  Hex on_accent;
  Hex error;
  Hex now, again_needed, again_unused, cache, masked, absent, not_stored;  // states
  Hex negative, zero, positive;                                            // values −scale, 0, +scale
  Hex broken, on_broken;                                                   // NaN and ∞
};

const Palette& palette(view::Theme theme);
Hex state_color(const Palette& palette, view::State state);

inline ImU32 to_u32(Hex color, float alpha = 1) {
  return IM_COL32((color >> 16) & 255, (color >> 8) & 255, color & 255, static_cast<int>(alpha * 255 + 0.5f));
}

/// A palette, and the tables made from it.
class Colors {
 public:
  explicit Colors(view::Theme theme);

  view::Theme theme() const { return theme_; }
  const Palette& hex() const { return *palette_; }
  ImU32 state(view::State state, float alpha = 1) const {
    return to_u32(state_color(*palette_, state), alpha);
  }
  /// The fill of a value; x = value / scale, and it saturates beyond ±1. Opacity mixes it with the colour of
  /// the pane, so that no blending is needed. A NaN has the colour `broken`.
  ImU32 value(float x, float opacity = 1) const;
  /// The fill of a weight, 0 … 1.
  ImU32 weight(float p, float opacity = 1) const { return value(p, opacity); }

 private:
  static constexpr int kSteps = 256;  // on each side of 0
  view::Theme theme_;
  const Palette* palette_;
  std::array<Hex, 2 * kSteps + 1> values_;
};

/// A linear mix in sRGB, for fades.
Hex mix(Hex from, Hex to, float fraction);

/// Gives ImGui's own widgets (menus, text field, tooltips) these colours.
void apply_style(const Colors& colors);

}  // namespace lastrow::ui
