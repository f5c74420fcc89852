// The sentence bar: what the beat just did, or what the tour says.
#include <fmt/format.h>

#include <algorithm>

#include "viewer/panels/panel.h"

namespace lastrow::ui {

namespace {

/// "2 pokes ▾": opens and closes the list of pokes.
void draw_pokes_button(Panel& panel, Rect& bar) {
  const view::PokeList& list = panel.view.pokes;
  if (list.button.empty()) return;
  const std::string text = list.button + (list.open ? " ▴" : " ▾");
  const Rect box = bar.cut_right(panel.canvas.width(Type::label, text) + 20).inset(0, 6);
  bar.cut_right(12);
  Touch touched;
  if (button_ground(panel, "pokes", box, list.open, true, &touched)) panel.send(view::OpenPokes{!list.open});
  panel.canvas.text_in(box, Type::label, panel.color(list.open ? panel.hex().on_accent : panel.hex().text),
                       text, Align::center);
  if (touched.hovered) tooltip(panel, list.button, "What is poked, what it changed, undo and redo.");
}

/// The offer of the tour, or how it goes on: a button that does what Enter does.
void draw_tour_button(Panel& panel, Rect& bar) {
  const view::Sentence& sentence = panel.view.sentence;
  if (sentence.hint.empty()) return;
  const float width = panel.canvas.width(Type::label, sentence.hint) + 16;
  const Rect box = bar.cut_right(std::min(width, bar.width() * 0.4f)).inset(0, 6);
  Touch touched;
  if (button_ground(panel, "tour", box, false, true, &touched)) panel.send(view::Confirm{});
  const view::KeyBinding& enter = binding_for(view::Key::enter);
  if (touched.hovered) tooltip(panel, enter.label, enter.tooltip, enter.key_text());
  panel.canvas.text_in(box, Type::label, panel.color(panel.hex().muted), sentence.hint, Align::center);
  bar.cut_right(12);
}

std::string tour_place(const Panel& panel) {
  return fmt::format("{} of {}", panel.view.tour.row, panel.view.tour.n_rows);
}

/// What the buttons and the place in the tour need.
float buttons_width(const Panel& panel) {
  const auto width = [&](const std::string& text, float around) {
    return text.empty() ? 0 : panel.canvas.width(Type::label, text) + around;
  };
  const bool in_tour = panel.view.tour.active && panel.view.tour.row > 0;
  return width(panel.view.sentence.hint, 28) + width(panel.view.pokes.button, 48) +
         width(in_tour ? tour_place(panel) : "", 13);
}

}  // namespace

void draw_sentence(Panel& panel) {
  const view::Sentence& sentence = panel.view.sentence;
  const Rect whole = panel.layout.sentence.inset(8, 2);
  Rect bar = whole;
  const bool guided = sentence.kind == view::SentenceKind::tour || sentence.kind == view::SentenceKind::ask;
  const Hex ground = guided ? mix(panel.hex().pane, panel.hex().accent, 0.10f) : panel.hex().pane;
  panel.canvas.fill_round(bar, panel.color(ground), 6);
  if (sentence.kind == view::SentenceKind::ask)
    panel.canvas.frame_round(bar, panel.color(panel.hex().accent), 6, 2);
  else
    panel.canvas.frame_round(bar, panel.color(panel.hex().line), 6);
  bar = bar.inset(12, 0);
  // A message that does not fit beside the sentence takes its place for a moment.
  const float messages = message_width(panel);
  const float words = std::min(panel.canvas.width(Type::sentence, sentence.text), bar.width());
  if (messages > 0 && messages + words + buttons_width(panel) + 40 > bar.width()) {
    panel.state.sentence_free = {};
    return;
  }
  draw_tour_button(panel, bar);
  draw_pokes_button(panel, bar);
  if (panel.view.tour.active && panel.view.tour.row > 0) {
    const std::string place = tour_place(panel);
    panel.canvas.text_in(bar.cut_right(panel.canvas.width(Type::label, place) + 1), Type::label,
                         panel.color(panel.hex().muted), place);
    bar.cut_right(12);
  }
  const ImU32 ink = panel.color(panel.hex().text);
  float end = bar.x1;
  for (const Type type : {Type::sentence, Type::body, Type::label}) {
    if (panel.canvas.width(type, sentence.text) > bar.width()) continue;
    end = bar.x0 + panel.canvas.text_in(bar, type, ink, sentence.text);
    break;
  }
  panel.state.sentence_free = {end + 20, whole.y0, bar.x1, whole.y1};
  if (end == bar.x1) panel.canvas.text_lines(bar.inset(0, 1), Type::label, ink, sentence.text, 2, 17);
}

}  // namespace lastrow::ui
