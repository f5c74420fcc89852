// The list of pokes over the right end of the window: each poke with its place and a button that removes it,
// undo and redo, and before → after of the last row. What does not fit scrolls.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/panels/panel.h"

namespace lastrow::ui {
namespace {

constexpr float kWidth = 260, kScrollbar = 8, kPad = 10, kTextLine = 17, kSmallLine = 15;
constexpr ImGuiWindowFlags kFlags = ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoResize |
                                    ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoCollapse |
                                    ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoNav |
                                    ImGuiWindowFlags_NoFocusOnAppearing;

/// The content from top to bottom; each function cuts off what it uses.
class Content {
 public:
  Content(Panel& panel, const Rect& column) : panel_(panel), canvas_(panel.canvas), column_(column) {}

  float draw() {
    header();
    for (size_t i = 0; i < list_.entries.size(); ++i) entry(static_cast<int>(i), list_.entries[i]);
    undo_and_redo();
    line();
    if (!list_.comparison)
      lines(Type::label, muted(), list_.hint, 2, kTextLine);
    else
      comparison(*list_.comparison);
    return column_.y0;
  }

 private:
  ImU32 ink() const { return panel_.color(panel_.hex().text); }
  ImU32 muted() const { return panel_.color(panel_.hex().muted); }
  void gap(float height) { column_.cut_top(height); }
  void line() {
    gap(6);
    canvas_.horizontal(column_.x0, column_.x1, column_.y0, panel_.color(panel_.hex().line));
    gap(6);
  }
  void lines(Type type, ImU32 color, std::string_view text, int most, float height) {
    column_.cut_top(canvas_.text_lines(column_, type, color, text, most, height));
  }

  void header() {
    Rect row = column_.cut_top(24);
    const Rect close = row.cut_right(22).inset(0, 1);
    if (button_ground(panel_, "close", close)) panel_.send(view::OpenPokes{false});
    draw_icon(canvas_, close.inset(6), Icon::close, muted());
    canvas_.text_in(row, Type::label_bold, ink(), list_.button);
    gap(4);
  }

  void entry(int index, const view::PokeEntry& e) {
    const Rect all = column_;
    Rect row = all;
    const Rect number = row.cut_left(24);
    Rect corner = row.cut_right(24);
    const Rect remove = corner.cut_top(20).inset(1, 1).moved(1, 0);
    const ImU32 color = e.in_force ? ink() : muted();
    const float top = row.y0;
    row.cut_top(canvas_.text_lines(row, Type::label, color, e.what, 2, kTextLine));
    row.cut_top(canvas_.text_lines(row, Type::small, muted(), e.where, 2, kSmallLine));
    row.cut_top(canvas_.text_lines(row, Type::small, color, e.in_force ? e.when : e.why_not, 2, kSmallLine));
    const float radius = 9;
    const ImVec2 middle{number.x0 + radius, top + kTextLine / 2};
    if (e.in_force) canvas_.list()->AddCircleFilled(middle, radius, color);
    canvas_.list()->AddCircle(middle, radius, color);
    canvas_.text_in({middle.x - radius, middle.y - radius, middle.x + radius, middle.y + radius}, Type::small,
                    e.in_force ? panel_.color(panel_.hex().pane) : color, fmt::format("{}", e.number),
                    Align::center);
    const Touch touched = touch("show", index, {all.x0, top, remove.x0 - 2, row.y0});
    if (touched.clicked) panel_.send(e.show);
    if (touched.hovered) tooltip(panel_, e.text, "Click: go to its layer, head and step. " + e.why_not);
    ImGui::PushID(index);
    Touch on_remove;
    if (button_ground(panel_, "remove", remove, false, true, &on_remove)) panel_.send(e.remove);
    ImGui::PopID();
    draw_icon(canvas_, remove.inset(5), Icon::close, muted());
    if (on_remove.hovered) tooltip(panel_, "Remove", e.text);
    column_.y0 = row.y0 + 6;
  }

  void undo_and_redo() {
    Rect row = column_.cut_top(26);
    const float width = (row.width() - 6) / 2;
    const auto button = [&](const char* id, const Rect& r, const std::string& what,
                            const view::KeyBinding& key) {
      Touch touched;
      const bool can = !what.empty();
      if (button_ground(panel_, id, r, false, can, &touched)) panel_.press(key);
      canvas_.text_in(r, Type::label, panel_.color(panel_.hex().text, can ? 1.0f : 0.35f), key.label,
                      Align::center);
      if (touched.hovered) tooltip(panel_, can ? what : key.label, key.tooltip, key.key_text());
    };
    button("undo", row.cut_left(width), list_.undo_text, binding_for(view::Key::character, 'z', false, true));
    row.cut_left(6);
    button("redo", row, list_.redo_text, binding_for(view::Key::character, 'y', false, true));
  }

  void comparison(const view::PokeComparison& c) {
    lines(Type::small, muted(), "before → after, " + c.title, 2, kSmallLine);
    for (const view::SideComparison& side : c.sides) {
      gap(6);
      lines(Type::label_bold, ink(), side.next_text, 2, kTextLine);
      lines(Type::small, muted(), side.side + " · " + side.logits_text, 2, kSmallLine);
      keys(side);
      output(side);
      tokens(side);
    }
  }

  /// A name in the middle of a thin line.
  void heading(std::string_view left, std::string_view right) {
    gap(4);
    const Rect row = column_.cut_top(kSmallLine);
    canvas_.text_in(row, Type::small, muted(), left);
    canvas_.text_in(row, Type::small, muted(), right, Align::right);
  }

  /// Per key: its weight before (upper bar) and after (lower bar), then the score.
  void keys(const view::SideComparison& side) {
    if (side.more_keys.empty() && side.keys.empty()) return;
    if (side.keys.empty())
      gap(4);
    else
      heading("key", "weight");
    for (const view::KeyChange& key : side.keys) {
      Rect row = column_.cut_top(kTextLine);
      const float room = canvas_.width(Type::mono_small, key.weight_text);
      canvas_.text_in(row.cut_right(room + 1), Type::mono_small, ink(), key.weight_text, Align::right);
      const std::string position = fmt::format("{} ", key.position);  // two keys may have the same word
      canvas_.text_in(row.cut_left(canvas_.width(Type::mono_small, position) + 1), Type::mono_small, muted(),
                      position);
      canvas_.text_in(row, Type::label, ink(), key.token);
      row = column_.cut_top(kSmallLine);
      const std::string score = "score " + key.score_text;
      canvas_.text_in(row.cut_right(canvas_.width(Type::small, score) + 1), Type::small, muted(), score,
                      Align::right);
      const float width = std::max(20.0f, row.width() - 10), y = row.y0 + 2;
      const auto bar = [&](float weight, float top, Hex color) {
        const float length = std::isfinite(weight) ? std::clamp(weight, 0.0f, 1.0f) * width : 0;
        canvas_.fill({row.x0, top, row.x0 + std::max(1.0f, length), top + 4}, panel_.color(color));
      };
      bar(key.weight_before, y, panel_.hex().absent);
      bar(key.weight_after, y + 5, panel_.hex().positive);
    }
    lines(Type::small, muted(), side.more_keys, 2, kSmallLine);
  }

  /// The elements of the output row: before in grey, after in the colour of its sign.
  void output(const view::SideComparison& side) {
    if (side.output_text.empty()) return;
    gap(4);
    lines(Type::small, ink(), side.output_text, 2, kSmallLine);
    const size_t n = side.output_after.size();
    constexpr float kLeastBar = 3;
    if (static_cast<float>(n) * kLeastBar > column_.width()) return;
    const Rect chart = column_.cut_top(26);
    const float middle = chart.center().y, width = chart.width() / static_cast<float>(n);
    const auto bar = [&](float value, float x0, float x1, Hex color) {
      const float length = std::isfinite(value) ? value / side.output_scale * (chart.height() / 2 - 2) : 0;
      canvas_.fill({x0, std::min(middle, middle - length), x1, std::max(middle, middle - length)},
                   panel_.color(color));
    };
    for (size_t d = 0; d < n; ++d) {
      const float x = chart.x0 + static_cast<float>(d) * width, half = std::floor(width / 2);
      bar(side.output_before[d], x, x + half, panel_.hex().absent);
      bar(side.output_after[d], x + half, x + width - 1,
          side.output_after[d] < 0 ? panel_.hex().negative : panel_.hex().positive);
    }
    canvas_.horizontal(chart.x0, chart.x1, middle, panel_.color(panel_.hex().line));
  }

  void tokens(const view::SideComparison& side) {
    if (side.tokens.empty()) return;
    heading("top five: rank", "logit");
    for (const view::TokenChange& t : side.tokens) {
      Rect row = column_.cut_top(kTextLine);
      canvas_.text_in(row.cut_left(64), Type::mono_small, t.rank_before == t.rank_after ? muted() : ink(),
                      t.rank_text);
      const float room = canvas_.width(Type::mono_small, t.logit_text);
      canvas_.text_in(row.cut_right(room + 1), Type::mono_small, ink(), t.logit_text, Align::right);
      canvas_.text_in(row, t.rank_after == 1 ? Type::label_bold : Type::label, ink(), t.text);
    }
  }

  Panel& panel_;
  Canvas& canvas_;
  const view::PokeList& list_ = panel_.view.pokes;
  Rect column_;
};

}  // namespace

void draw_pokes(Panel& panel) {
  if (!panel.view.pokes.open) return;
  const Layout& layout = panel.layout;
  const bool column_there = !layout.inspector_pops_over && !layout.inspector.empty();
  const Rect box = column_there ? layout.inspector
                                : Rect{layout.screen.x1 - 8 - kWidth, layout.sentence.y1 + 2,
                                       layout.screen.x1 - 8, layout.panes[1].box.y1};
  const float top = box.y0, room = box.height(), left = box.x0, right = box.x1;
  const float height = std::clamp(panel.state.pokes_height, 40.0f, std::max(40.0f, room));
  const bool scrolls = panel.state.pokes_height > room;
  ImGui::SetNextWindowPos({left, top});
  ImGui::SetNextWindowSize({right - left, height});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {0, 0});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, 6);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 1);
  ImGui::PushStyleVar(ImGuiStyleVar_ScrollbarSize, kScrollbar);
  ImGui::PushStyleColor(ImGuiCol_WindowBg, panel.color(panel.hex().raised));
  ImGui::PushStyleColor(ImGuiCol_Border, panel.color(panel.hex().muted));
  ImGui::Begin("pokes", nullptr, kFlags);
  Canvas canvas(ImGui::GetWindowDrawList(), panel.canvas.colors(), panel.canvas.fonts(),
                panel.canvas.scale());
  Panel over{canvas, panel.view, panel.progress, panel.layout, panel.state, panel.commands};
  const float start = top - ImGui::GetScrollY();
  constexpr float kEndless = 1e6f;
  const Rect column{left + kPad, start + 6, right - kPad - (scrolls ? kScrollbar - 4 : 0), start + kEndless};
  const float end = Content(over, column).draw() + kPad;
  panel.state.pokes_height = end - start;
  ImGui::SetCursorScreenPos({left, end - 1});
  ImGui::Dummy({1, 1});  // so that ImGui knows how far it can scroll
  ImGui::End();
  ImGui::PopStyleColor(2);
  ImGui::PopStyleVar(4);
}

}  // namespace lastrow::ui
