// What is drawn over everything else: the list of keys, a notice, the progress of long work.
#include <algorithm>

#include "viewer/panels/overlay.h"

namespace lastrow::ui {
namespace {

/// One line of the help: one binding, or several with the same label, such as scroll up and scroll down.
struct HelpLine {
  std::string keys;
  const view::KeyBinding* binding;
};

std::vector<HelpLine> help_lines() {
  std::vector<HelpLine> lines;
  for (const view::KeyBinding& binding : view::key_table()) {
    if (lines.empty() || std::string_view(lines.back().binding->label) != binding.label) {
      lines.push_back({binding.key_text(), &binding});
      continue;
    }
    const view::KeyBinding& first = *lines.back().binding;
    const bool same_modifiers = first.ctrl == binding.ctrl && first.shift == binding.shift;
    lines.back().keys += " " + (same_modifiers ? binding.key_name : binding.key_text());  // "Ctrl+← →"
  }
  return lines;
}

void draw_help(Panel& panel) {
  if (!panel.view.help_open) return;
  const std::vector<HelpLine> lines = help_lines();
  constexpr float kRow = 24, kKeys = 130, kWidth = 860;
  std::vector<const char*> groups;
  for (const HelpLine& line : lines)
    if (groups.empty() || std::string_view(groups.back()) != line.binding->group)
      groups.push_back(line.binding->group);
  const float rows = static_cast<float>(lines.size() + groups.size());
  const float height = std::min(panel.layout.screen.height() - 40,
                                60 + kRow * rows + 8 * static_cast<float>(groups.size()) + 16);
  const ImVec2 middle = panel.layout.screen.center();
  const float width = std::min(kWidth, panel.layout.screen.width() - 40);
  const Rect box{middle.x - width / 2, middle.y - height / 2, middle.x + width / 2, middle.y + height / 2};
  ModalBox modal(panel, "help", box);
  Panel& top = modal.panel();
  Canvas& canvas = top.canvas;
  Rect column = box.inset(24, 12);
  canvas.text_in(column.cut_top(36), Type::sentence, panel.color(panel.hex().text), "Keys");
  const float row_height = std::min(kRow, (column.height() - 8 * static_cast<float>(groups.size())) / rows);
  const char* group = nullptr;
  for (const auto& [keys, binding] : lines) {
    if (group == nullptr || std::string_view(group) != binding->group) {
      group = binding->group;
      column.cut_top(8);
      canvas.text_in(column.cut_top(row_height), Type::label_bold, panel.color(panel.hex().accent), group);
    }
    Rect row = column.cut_top(row_height);
    canvas.text_in(row.cut_left(kKeys), Type::mono, panel.color(panel.hex().text), keys);
    canvas.text_in(row.cut_left(140), Type::label_bold, panel.color(panel.hex().text), binding->label);
    canvas.text_in(row, Type::label, panel.color(panel.hex().muted), binding->tooltip);
  }
  const Touch touched = touch("close help", panel.layout.screen);
  if (touched.clicked) top.send(view::ToggleHelp{});
}

// ---- notice and progress stand in the sentence bar, at its right end

constexpr float kTrack = 120, kCancel = 70;

float notice_width(const Panel& panel) {
  return panel.view.notice ? panel.canvas.width(Type::label, panel.view.notice->text) + 68 : 0;
}
float busy_width(const Panel& panel) {
  if (!panel.view.busy.active) return 0;
  return panel.canvas.width(Type::label, panel.view.busy.text) + kTrack + kCancel + 60;
}

/// The place for a message and its buttons. If the sentence leaves too little room, the message gets the
/// whole bar, and the sentence is not drawn (sentence.cpp).
Rect place_in_bar(Rect& free, const Rect& bar, float width) {
  if (free.width() >= width) return free.cut_right(width);
  free = {};
  return bar;
}

void draw_notice(Panel& panel, Rect& free, const Rect& bar) {
  if (!panel.view.notice) return;
  const view::Notice& notice = *panel.view.notice;
  const Rect box = place_in_bar(free, bar, notice_width(panel));
  Overlay over(panel, "notice", box, false);
  Panel& top = over.panel();
  const Hex edge = notice.kind == view::NoticeKind::error ? top.hex().error : top.hex().accent;
  top.canvas.fill_round(box, top.color(top.hex().raised), 6);
  top.canvas.frame_round(box, top.color(edge), 6, 2);
  Rect inside = box.inset(14, 0);
  const Rect close = inside.cut_right(22);
  const Rect button{close.x0, close.center().y - 11, close.x1, close.center().y + 11};
  Touch touched;
  if (button_ground(top, "dismiss", button, false, true, &touched)) top.send(view::DismissNotice{});
  draw_icon(top.canvas, button.inset(5), Icon::close, top.color(top.hex().muted));
  if (touched.hovered) tooltip(top, "Close", "It also goes away by itself.", "Esc");
  inside.cut_right(8);
  const ImU32 ink = top.color(top.hex().text);
  if (top.canvas.width(Type::label, notice.text) <= inside.width())
    top.canvas.text_in(inside, Type::label, ink, notice.text);
  else
    top.canvas.text_lines(inside.inset(0, 1), Type::small, ink, notice.text, 2, 16);
}

void draw_busy(Panel& panel, Rect& free, const Rect& bar) {
  const view::Busy& busy = panel.view.busy;
  if (!busy.active) return;
  const Rect box = place_in_bar(free, bar, busy_width(panel));
  Overlay over(panel, "busy", box, false);
  Panel& top = over.panel();
  top.canvas.fill_round(box, top.color(top.hex().raised), 6);
  top.canvas.frame_round(box, top.color(top.hex().line), 6);
  Rect inside = box.inset(14, 0);
  if (busy.can_cancel) {
    if (text_button(top, "cancel", inside.cut_right(kCancel).inset(0, 6), "Cancel"))
      top.send(view::CancelWork{});
    inside.cut_right(12);
  }
  Rect track = inside.cut_right(kTrack);
  track = {track.x0, track.center().y - 3, track.x1, track.center().y + 3};
  top.canvas.fill_round(track, top.color(top.hex().hover), 3);
  if (busy.fraction >= 0) {
    const float done = track.width() * std::clamp(static_cast<float>(busy.fraction), 0.02f, 1.0f);
    top.canvas.fill_round({track.x0, track.y0, track.x0 + done, track.y1}, top.color(top.hex().accent), 3);
  }
  inside.cut_right(12);
  top.canvas.text_in(inside, Type::label, top.color(top.hex().text), busy.text);
}

}  // namespace

float message_width(const Panel& panel) { return notice_width(panel) + busy_width(panel); }

void draw_overlays(Panel& panel) {
  const Rect bar = panel.layout.sentence.inset(8, 2);
  Rect free = panel.view.ready ? panel.state.sentence_free : bar;
  draw_busy(panel, free, bar);
  draw_notice(panel, free, bar);
  draw_help(panel);
}

}  // namespace lastrow::ui
