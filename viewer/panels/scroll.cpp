#include "viewer/panels/scroll.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lastrow::ui {
namespace {

constexpr float kBarWidth = 6, kLeastThumb = 16;
constexpr int kWheelTokens = 3;

/// The bar along its length. The pinned row does not count, because it does not scroll.
struct Along {
  float start, length;  // of the track
  int first, seen, all;

  float thumb_length() const {
    return std::max(std::min(kLeastThumb, length),
                    length * static_cast<float>(seen) / static_cast<float>(all));
  }
  float thumb_start() const {
    return start + (length - thumb_length()) * static_cast<float>(first) / static_cast<float>(all - seen);
  }
  int first_at(float thumb_start) const {
    const float room = std::max(1.0f, length - thumb_length());
    return static_cast<int>(std::lround((thumb_start - start) / room * static_cast<float>(all - seen)));
  }
};

Along along(const PaneLayout& pane) {
  const float length = static_cast<float>(pane.window.n) * pane.row_height;
  return {pane.rows.y0, length, pane.window.first, pane.window.n, pane.window.n_tokens - 1};
}

void scroll_to(Panel& panel, int first) {
  const view::TokenWindow& window = panel.view.window;
  first = std::clamp(first, 0, window.last_first());
  if (first != window.first) panel.send(view::ScrollTo{first == window.last_first() ? view::kNewest : first});
}

}  // namespace

ScrollBar scroll_bar(const PaneLayout& pane) {
  if (pane.window.whole()) return {};
  const Along bar = along(pane);
  const float x0 = pane.box.x1 - 11, x1 = pane.box.x1 - 1;
  return {{x0, bar.start, x1, bar.start + bar.length},
          {x0, bar.thumb_start(), x1, bar.thumb_start() + bar.thumb_length()}};
}

void scroll_by_wheel(Panel& panel) {
  const float wheel = ImGui::GetIO().MouseWheel;
  if (wheel != 0 && !panel.view.window.whole())
    scroll_to(panel, panel.view.window.first - static_cast<int>(std::lround(wheel * kWheelTokens)));
}

void draw_scroll_bar(Panel& panel, const PaneLayout& pane) {
  const ScrollBar bar = scroll_bar(pane);
  if (bar.track.empty()) return;
  const Along length = along(pane);
  const float mouse = ImGui::GetIO().MousePos.y;
  const Touch touched = touch("scroll", static_cast<int>(pane.side), bar.track);
  const bool held = ImGui::IsItemActive();
  if (ImGui::IsItemActivated()) {  // a press beside the thumb moves it there
    const float offset = mouse - length.thumb_start();
    const bool on_thumb = offset >= 0 && offset < length.thumb_length();
    panel.state.scroll_grip = on_thumb ? offset : length.thumb_length() / 2;
  }
  if (held) scroll_to(panel, length.first_at(mouse - panel.state.scroll_grip));
  const Hex ground = mix(panel.hex().pane, panel.hex().text, 0.08f);
  const Hex grip =
      held ? panel.hex().accent : mix(panel.hex().pane, panel.hex().text, touched.hovered ? 0.7f : 0.45f);
  const float inset = (bar.track.width() - kBarWidth) / 2;
  panel.canvas.fill_round(bar.track.inset(inset, 0), panel.color(ground), kBarWidth / 2);
  panel.canvas.fill_round(bar.thumb.inset(inset, 0), panel.color(grip), kBarWidth / 2);
  if (touched.hovered && !held)
    tooltip(
        panel,
        fmt::format("tokens {}–{} of {}", length.first, length.first + length.seen - 1, pane.window.n_tokens),
        "Drag, or use the wheel, ↑ ↓, Page up, Page down; Ctrl+End shows the newest tokens.");
}

}  // namespace lastrow::ui
