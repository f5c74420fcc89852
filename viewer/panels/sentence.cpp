// The sentence bar: what the beat just did, or what the tour says.
#include <fmt/format.h>

#include "viewer/panels/panel.h"

namespace lastrow::ui {

void draw_sentence(Panel& panel) {
  const view::Sentence& sentence = panel.view.sentence;
  Rect bar = panel.layout.sentence.inset(8, 2);
  const bool guided = sentence.kind == view::SentenceKind::tour || sentence.kind == view::SentenceKind::ask;
  const Hex ground = guided ? mix(panel.hex().pane, panel.hex().accent, 0.10f) : panel.hex().pane;
  panel.canvas.fill_round(bar, panel.color(ground), 6);
  if (sentence.kind == view::SentenceKind::ask)
    panel.canvas.frame_round(bar, panel.color(panel.hex().accent), 6, 2);
  else
    panel.canvas.frame_round(bar, panel.color(panel.hex().line), 6);
  bar = bar.inset(12, 0);
  if (!sentence.hint.empty()) {
    const float width = panel.canvas.width(Type::label, sentence.hint) + 16;
    Rect hint = bar.cut_right(std::min(width, bar.width() * 0.4f));
    const bool button = panel.view.tour.offered || panel.view.tour.active;
    const Rect box = hint.inset(0, 6);
    if (button) {
      Touch touched;
      if (button_ground(panel, "tour", box, false, true, &touched)) panel.send(view::Confirm{});
      const view::KeyBinding& enter = binding_for(view::Key::enter);
      if (touched.hovered) tooltip(panel, enter.label, enter.tooltip, enter.key_text());
    }
    panel.canvas.text_in(box, Type::label, panel.color(panel.hex().muted), sentence.hint, Align::center);
    bar.cut_right(12);
  }
  if (panel.view.tour.active && panel.view.tour.row > 0) {
    const std::string place = fmt::format("{} of {}", panel.view.tour.row, panel.view.tour.n_rows);
    panel.canvas.text_in(bar.cut_right(panel.canvas.width(Type::label, place) + 1), Type::label,
                         panel.color(panel.hex().muted), place);
    bar.cut_right(12);
  }
  const ImU32 ink = panel.color(panel.hex().text);
  if (panel.canvas.width(Type::sentence, sentence.text) <= bar.width())
    panel.canvas.text_in(bar, Type::sentence, ink, sentence.text);
  else if (panel.canvas.width(Type::body, sentence.text) <= bar.width())
    panel.canvas.text_in(bar, Type::body, ink, sentence.text);
  else
    panel.canvas.text_lines(bar.inset(0, 1), Type::label, ink, sentence.text, 2, 17);
}

}  // namespace lastrow::ui
