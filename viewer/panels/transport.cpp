// The top bar: buttons for time, the steps run so far (scrub.h), the banner, and the four parts of a step.
#include <algorithm>
#include <cmath>

#include "viewer/panels/scrub.h"

namespace lastrow::ui {
namespace {

void draw_buttons(Panel& panel, Rect bar) {
  const view::Transport& time = panel.view.transport;
  struct Entry {
    Icon icon;
    const view::KeyBinding& binding;
    bool enabled;
  };
  using view::Key;
  const bool at_start = time.at_first && time.beat == view::Beat::start;
  const Entry entries[] = {
      {Icon::first, binding_for(Key::home), time.step > 0},
      {Icon::previous_step, binding_for(Key::left, 0, true), time.step > 0},
      {Icon::previous_beat, binding_for(Key::left), !at_start},
      {time.playing ? Icon::pause : Icon::play, binding_for(Key::space), true},
      {Icon::next_beat, binding_for(Key::right), true},
      {Icon::next_step, binding_for(Key::right, 0, true), !time.context_full || time.step < time.last_step},
      {Icon::last, binding_for(Key::end), time.step < time.last_step}};
  for (const Entry& entry : entries) {
    key_button(panel, bar.cut_left(30).inset(1, 9), entry.icon, entry.binding, entry.enabled,
               entry.icon == Icon::pause);
  }
}

/// ① ② ③ ④; a part with several beats has a dot for each beat.
void draw_chip(Panel& panel, const view::BeatChip& chip, const Rect& r) {
  ImGui::PushID(chip.part);
  Touch touched;
  if (button_ground(panel, "chip", r, chip.current, true, &touched)) panel.send(view::GoToBeat{chip.last});
  const Hex ink = chip.current ? panel.hex().on_accent : chip.done ? panel.hex().text : panel.hex().muted;
  const view::Beat beat = panel.view.transport.beat;
  std::string label = chip.label();
  if (chip.current && chip.beats.size() > 1)
    for (const view::BeatInfo& info : chip.beats)
      if (info.beat == beat) label = chip.sign + " " + info.label;
  const bool dots = chip.beats.size() > 1;
  const float width = r.width() - 8;
  const Type type = panel.canvas.width(Type::label, label) <= width ? Type::label : Type::small;
  panel.canvas.text_in({r.x0 + 4, r.y0, r.x1 - 4, r.y1 - (dots ? 7.0f : 0.0f)}, type, panel.color(ink), label,
                       Align::center);
  if (dots) {
    const float step = std::min(14.0f, width / static_cast<float>(chip.beats.size()));
    float x = r.center().x - step * static_cast<float>(chip.beats.size() - 1) / 2;
    for (const view::BeatInfo& info : chip.beats) {
      const bool reached = chip.done || (chip.current && beat >= info.beat);
      panel.canvas.list()->AddCircleFilled({x, r.y1 - 7}, 2.5f, panel.color(ink, reached ? 1.0f : 0.35f));
      x += step;
    }
  }
  if (touched.hovered) {
    std::string names;
    for (const view::BeatInfo& info : chip.beats)
      names += (names.empty() ? "" : " · ") + std::string(info.label);
    tooltip(panel, chip.label(), "Show the end of: " + names);
  }
  ImGui::PopID();
}

}  // namespace

void draw_transport(Panel& panel) {
  Rect bar = panel.layout.top.inset(8, 0);
  const bool narrow = bar.width() < 1240;
  draw_buttons(panel, bar.cut_left(7 * 30 + 8));
  const float chip_width = narrow ? 86.0f : 106.0f;
  Rect chips = bar.cut_right(4 * chip_width);
  for (const view::BeatChip& chip : panel.view.transport.chips)
    draw_chip(panel, chip, chips.cut_left(chip_width).inset(2, 8));
  bar.cut_right(12);
  const std::string& banner = panel.view.transport.banner;
  constexpr float kLeastScrub = 90;
  const bool large = panel.canvas.width(Type::body_bold, banner) + 24 + kLeastScrub <= bar.width();
  const Type type = large ? Type::body_bold : Type::label_bold;
  const Rect banner_box = bar.cut_right(panel.canvas.width(type, banner) + 4);
  panel.canvas.text_in(banner_box, type, panel.color(panel.hex().text), banner, Align::right);
  bar.cut_right(16);
  bar.cut_left(8);
  if (bar.width() >= kLeastScrub / 2) draw_scrub(panel, bar);
  panel.canvas.horizontal(panel.layout.top.x0, panel.layout.top.x1, panel.layout.top.y1,
                          panel.color(panel.hex().line));
}

}  // namespace lastrow::ui
