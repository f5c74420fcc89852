// What is drawn over everything else: the list of keys, a notice, the progress of long work.
#include <algorithm>

#include "viewer/panels/panel.h"

namespace lastrow::ui {
namespace {

constexpr ImGuiWindowFlags kOverlay = ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove |
                                      ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoNav;

void begin_overlay(const char* id, const Rect& r) {
  ImGui::SetNextWindowPos({r.x0, r.y0});
  ImGui::SetNextWindowSize({r.width(), r.height()});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {0, 0});
  ImGui::PushStyleColor(ImGuiCol_WindowBg, ImVec4(0, 0, 0, 0));
  ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 0);
  ImGui::Begin(id, nullptr, kOverlay);
}

void end_overlay() {
  ImGui::End();
  ImGui::PopStyleColor();
  ImGui::PopStyleVar(2);
}

/// The same panel, drawing into the overlay.
Panel over(Panel& panel, Canvas& canvas) {
  return Panel{canvas, panel.view, panel.progress, panel.layout, panel.state, panel.commands};
}

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
  begin_overlay("help", panel.layout.screen);
  Canvas canvas(ImGui::GetWindowDrawList(), panel.canvas.colors(), panel.canvas.fonts(),
                panel.canvas.scale());
  Panel top = over(panel, canvas);
  canvas.fill(panel.layout.screen,
              panel.color(panel.hex().text, panel.view.theme == view::Theme::dark ? 0.12f : 0.35f));
  canvas.fill_round(box, panel.color(panel.hex().pane), 8);
  canvas.frame_round(box, panel.color(panel.hex().line), 8);
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
  end_overlay();
}

void draw_notice(Panel& panel) {
  const bool own = panel.state.own_notice.has_value();
  if (!own && !panel.view.notice) return;
  const view::Notice notice = own ? *panel.state.own_notice : *panel.view.notice;
  const bool error = notice.kind == view::NoticeKind::error;
  const Rect& place = panel.layout.costs;
  const float width = std::min(panel.canvas.width(Type::label, notice.text) + 64, place.width() - 80);
  const bool wraps = panel.canvas.width(Type::label, notice.text) > width - 64;
  const float x = place.center().x - width / 2, height = wraps ? 52.0f : 36.0f;
  const Rect box{x, place.y0 - height - 12, x + width, place.y0 - 12};
  begin_overlay("notice", box);
  Canvas canvas(ImGui::GetWindowDrawList(), panel.canvas.colors(), panel.canvas.fonts(),
                panel.canvas.scale());
  Panel top = over(panel, canvas);
  const Hex edge = error ? panel.hex().error : panel.hex().accent;
  canvas.fill_round(box, panel.color(panel.hex().raised), 6);
  canvas.frame_round(box, panel.color(edge), 6, 2);
  Rect inside = box.inset(14, 0);
  const Rect close = inside.cut_right(22);
  const Rect button{close.x0, close.center().y - 11, close.x1, close.center().y + 11};
  if (button_ground(top, "dismiss", button)) {
    panel.state.own_notice.reset();
    top.send(view::DismissNotice{});
  }
  draw_icon(canvas, button.inset(5), Icon::close, panel.color(panel.hex().muted));
  inside.cut_right(8);
  if (wraps)
    canvas.text_lines(inside.inset(0, 8), Type::label, panel.color(panel.hex().text), notice.text, 2, 18);
  else
    canvas.text_in(inside, Type::label, panel.color(panel.hex().text), notice.text);
  end_overlay();
}

void draw_busy(Panel& panel) {
  const view::Busy& busy = panel.view.busy;
  if (!busy.active) return;
  const ImVec2 middle = panel.layout.sentence.center();
  const Rect box{middle.x - 200, panel.layout.sentence.y1 + 10, middle.x + 200,
                 panel.layout.sentence.y1 + 54};
  begin_overlay("busy", box);
  Canvas canvas(ImGui::GetWindowDrawList(), panel.canvas.colors(), panel.canvas.fonts(),
                panel.canvas.scale());
  Panel top = over(panel, canvas);
  canvas.fill_round(box, panel.color(panel.hex().raised), 6);
  canvas.frame_round(box, panel.color(panel.hex().line), 6);
  Rect inside = box.inset(14, 0);
  if (busy.can_cancel) {
    const Rect cancel = inside.cut_right(70).inset(0, 8);
    if (button_ground(top, "cancel", cancel)) top.send(view::CancelWork{});
    canvas.text_in(cancel, Type::label, panel.color(panel.hex().text), "Cancel", Align::center);
    inside.cut_right(12);
  }
  canvas.text_in({inside.x0, inside.y0 + 6, inside.x1, inside.y0 + 26}, Type::label,
                 panel.color(panel.hex().text), busy.text);
  const Rect track{inside.x0, inside.y1 - 14, inside.x1, inside.y1 - 8};
  canvas.fill_round(track, panel.color(panel.hex().hover), 3);
  if (busy.fraction >= 0) {
    const float done = track.width() * std::clamp(static_cast<float>(busy.fraction), 0.02f, 1.0f);
    canvas.fill_round({track.x0, track.y0, track.x0 + done, track.y1}, panel.color(panel.hex().accent), 3);
  }
  end_overlay();
}

}  // namespace

void draw_overlays(Panel& panel) {
  draw_notice(panel);
  draw_busy(panel);
  draw_help(panel);
}

}  // namespace lastrow::ui
