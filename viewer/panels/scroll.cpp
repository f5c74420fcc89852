#include "viewer/panels/scroll.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lastrow::ui {
namespace {

constexpr float kBarWidth = 6, kLeastThumb = 16;
constexpr int kWheelTokens = 3;

/// Stores −1 at the end, so that the view follows the newest token.
void move_to(int& first, int to, int hidden) {
  if (hidden <= 0) return;
  const int next = std::clamp(to, 0, hidden);
  first = next == hidden ? -1 : next;
}

int hidden_rows(const PaneLayout& pane) { return pane.n_tokens - pane.n_rows; }
int hidden_columns(const PaneLayout& pane) { return pane.n_tokens - pane.n_columns; }

/// A scroll bar along its length.
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

Along along_rows(const PaneLayout& pane) {
  return {pane.rows.y0, pane.rows.height(), pane.first_row, pane.n_rows, pane.n_tokens};
}
Along along_columns(const PaneLayout& pane) {
  return {pane.column(pane.first_column).x0, pane.matrix.x1 - pane.column(pane.first_column).x0,
          pane.first_column, pane.n_columns, pane.n_tokens};
}

/// Draws a bar. While the user drags it, the thumb stays under the mouse; a press beside the thumb moves it
/// there.
void drag_bar(Panel& panel, const char* id, const PaneLayout& pane, const ScrollBar& bar, const Along& along,
              float mouse, int& first, const char* help) {
  if (bar.track.empty()) return;
  const Touch touched = touch(id, static_cast<int>(pane.side), bar.track);
  const bool held = ImGui::IsItemActive();
  if (ImGui::IsItemActivated()) {
    const float offset = mouse - along.thumb_start();
    const bool on_thumb = offset >= 0 && offset < along.thumb_length();
    panel.state.scroll_grip = on_thumb ? offset : along.thumb_length() / 2;
  }
  if (held) move_to(first, along.first_at(mouse - panel.state.scroll_grip), along.all - along.seen);
  const Hex ground = mix(panel.hex().pane, panel.hex().text, 0.08f);
  const Hex grip =
      held ? panel.hex().accent : mix(panel.hex().pane, panel.hex().text, touched.hovered ? 0.7f : 0.45f);
  const float inset = (std::min(bar.track.width(), bar.track.height()) - kBarWidth) / 2;
  const bool upright = bar.track.height() > bar.track.width();
  const auto slim = [&](const Rect& r) { return upright ? r.inset(inset, 0) : r.inset(0, inset); };
  panel.canvas.fill_round(slim(bar.track), panel.color(ground), kBarWidth / 2);
  panel.canvas.fill_round(slim(bar.thumb), panel.color(grip), kBarWidth / 2);
  if (touched.hovered && !held)
    tooltip(panel, fmt::format("{}–{} of {} tokens", along.first, along.first + along.seen - 1, along.all),
            help);
}

}  // namespace

ScrollBar row_bar(const PaneLayout& pane) {
  if (hidden_rows(pane) <= 0) return {};
  const Along along = along_rows(pane);
  const float x0 = pane.box.x1 - 11, x1 = pane.box.x1 - 1;
  return {{x0, along.start, x1, along.start + along.length},
          {x0, along.thumb_start(), x1, along.thumb_start() + along.thumb_length()}};
}

ScrollBar column_bar(const PaneLayout& pane) {
  if (hidden_columns(pane) <= 0) return {};
  const Along along = along_columns(pane);
  const float y0 = pane.rows.y1 + 1, y1 = pane.rows.y1 + 11;
  return {{along.start, y0, along.start + along.length, y1},
          {along.thumb_start(), y0, along.thumb_start() + along.thumb_length(), y1}};
}

void scroll_by(Scroll& scroll, const PaneLayout& pane, const view::ScrollTokens& by) {
  const auto step = [&](int direction, int in_sight) {
    const int most = pane.n_tokens;
    return direction * (by.unit == view::ScrollUnit::all    ? most
                        : by.unit == view::ScrollUnit::page ? std::max(1, in_sight - 1)
                                                            : 1);
  };
  if (by.rows != 0) move_to(scroll.first_row, pane.first_row + step(by.rows, pane.n_rows), hidden_rows(pane));
  if (by.columns != 0)
    move_to(scroll.first_column, pane.first_column + step(by.columns, pane.n_columns), hidden_columns(pane));
}

void scroll_by_wheel(Panel& panel) {
  const ImGuiIO& io = ImGui::GetIO();
  const PaneLayout& pane = panel.layout.panes[0];
  const float down = io.KeyShift ? 0 : io.MouseWheel, across = io.KeyShift ? io.MouseWheel : io.MouseWheelH;
  if (down != 0)
    move_to(panel.state.scroll.first_row, pane.first_row - static_cast<int>(down * kWheelTokens),
            hidden_rows(pane));
  if (across != 0)
    move_to(panel.state.scroll.first_column, pane.first_column - static_cast<int>(across * kWheelTokens),
            hidden_columns(pane));
}

void draw_scroll_bars(Panel& panel, const PaneLayout& pane) {
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  Scroll& scroll = panel.state.scroll;
  if (hidden_rows(pane) > 0) {
    drag_bar(panel, "rows", pane, row_bar(pane), along_rows(pane), mouse.y, scroll.first_row,
             "Drag, or use the wheel, ↑ ↓, Page up, Page down; Ctrl+End shows the newest tokens.");
    Rect note{pane.labels.x0, pane.block_title.y0, pane.labels.x1, pane.block_title.y1};
    panel.canvas.text_in(
        note.cut_top(17), Type::label_bold, panel.color(panel.hex().text),
        fmt::format("{}–{} of {}", pane.first_row, pane.first_row + pane.n_rows - 1, pane.n_tokens));
    panel.canvas.text_in(note, Type::small, panel.color(panel.hex().muted), "wheel, ↑ ↓");
  }
  if (hidden_columns(pane) > 0)
    drag_bar(panel, "columns", pane, column_bar(pane), along_columns(pane), mouse.x, scroll.first_column,
             "Drag, or use Shift and the wheel, Ctrl+← and Ctrl+→; Ctrl+End shows the newest tokens.");
}

}  // namespace lastrow::ui
