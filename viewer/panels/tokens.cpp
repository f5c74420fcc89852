// The second bar: model and backend, the tokens so far, and the five most probable next tokens of each side.
#include <fmt/format.h>

#include <algorithm>

#include "viewer/panels/blocks.h"
#include "viewer/panels/panel.h"

namespace lastrow::ui {
namespace {

/// A button that opens a list. An entry that cannot be chosen says why in its tooltip.
template <typename MakeCommand>
void draw_choice(Panel& panel, const char* id, const Rect& r, const std::vector<view::Choice>& choices,
                 const std::string& fallback, const view::KeyBinding& binding, MakeCommand make) {
  std::string shown = fallback;
  for (const view::Choice& choice : choices)
    if (choice.selected) shown = choice.name;  // the list says more
  Touch touched;
  if (button_ground(panel, id, r, false, true, &touched)) ImGui::OpenPopup(id);
  Rect inside = r.inset(8, 0);
  draw_icon(panel.canvas, inside.cut_right(10), Icon::down, panel.color(panel.hex().muted));
  panel.canvas.text_in(inside, Type::label, panel.color(panel.hex().text), shown);
  if (touched.hovered && !ImGui::IsPopupOpen(id))
    tooltip(panel, binding.label, binding.tooltip, binding.key_text());
  ImGui::SetNextWindowPos({r.x0, r.y1 + 2});
  if (!ImGui::BeginPopup(id)) return;
  for (const view::Choice& choice : choices) {
    const std::string text = panel.canvas.fonts().spelt(choice.label);
    const ImGuiSelectableFlags flags = choice.usable ? 0 : ImGuiSelectableFlags_Disabled;
    if (ImGui::Selectable(text.c_str(), choice.selected, flags)) panel.send(make(choice.name));
    if (!choice.usable && ImGui::IsItemHovered(ImGuiHoveredFlags_AllowWhenDisabled))
      tooltip(panel, choice.label, choice.reason);
  }
  ImGui::EndPopup();
}

/// The text under a token: its position, and "input" or "next".
std::string chip_note(const view::TokenChip& chip) {
  if (chip.role == view::TokenRole::next) return "next";
  return fmt::format(fmt::runtime(chip.role == view::TokenRole::input ? "{} input" : "{}"), chip.position);
}

float chip_width(const Panel& panel, const view::TokenChip& chip) {
  return std::max({24.0f, panel.canvas.width(Type::body, chip.text) + 16,
                   panel.canvas.width(Type::small, chip_note(chip)) + 2});
}

void draw_chip(Panel& panel, const view::TokenChip& chip, const Rect& r) {
  const bool is_next = chip.role == view::TokenRole::next, is_input = chip.role == view::TokenRole::input;
  const ImU32 ink = panel.color(panel.hex().text);
  Rect box = r;
  const Rect below = box.cut_bottom(16);
  if (is_next) {
    if (!panel.view.next_visible) return;
    panel.canvas.dashed(box, panel.color(panel.hex().muted), 1, 4, 3);
  } else {
    panel.canvas.fill_round(box, panel.color(panel.hex().pane), 4);
    panel.canvas.frame_round(box, is_input ? ink : panel.color(panel.hex().line), 4, is_input ? 2.0f : 1.0f);
  }
  panel.canvas.text_in(box.inset(4, 0), is_input ? Type::body_bold : Type::body,
                       panel.color(is_next ? panel.hex().muted : panel.hex().text), chip.text, Align::center);
  panel.canvas.text_in(below, Type::small, panel.color(panel.hex().muted), chip_note(chip), Align::center);
}

void draw_strip(Panel& panel, Rect strip) {
  const std::vector<view::TokenChip>& tokens = panel.view.tokens;
  constexpr float kBetween = 4;
  float total = 0;
  size_t first = tokens.size();
  while (first > 0) {  // the newest tokens, as many as fit
    const float width = chip_width(panel, tokens[first - 1]) + kBetween +
                        (tokens[first - 1].role == view::TokenRole::next ? 6.0f : 0.0f);
    if (total + width > strip.width() - (first > 1 ? 40.0f : 0.0f)) break;
    total += width;
    --first;
  }
  if (first > 0)
    panel.canvas.text_in(strip.cut_left(40), Type::label, panel.color(panel.hex().muted),
                         fmt::format("… {}", first));
  for (size_t i = first; i < tokens.size(); ++i) {
    if (tokens[i].role == view::TokenRole::next) {
      strip.cut_left(6);
    }
    draw_chip(panel, tokens[i], strip.cut_left(chip_width(panel, tokens[i])).inset(0, 6));
    strip.cut_left(kBetween);
  }
}

void draw_top(Panel& panel, Rect r, const view::NextTokens& next, const std::string& caption) {
  const float row_height = std::floor(r.height() / 5);
  if (!caption.empty()) {
    Rect side = r.cut_left(54);
    panel.canvas.text_lines({side.x0, side.center().y - 14, side.x1 - 4, side.y1}, Type::small,
                            panel.color(panel.hex().muted), caption, 2, 14);
  }
  if (!panel.view.next_visible) {
    panel.canvas.text_in(r, Type::small, panel.color(panel.hex().muted), "not computed yet", Align::center);
    return;
  }
  const float grown = panel.view.transport.beat == view::Beat::next ? ease(panel.progress) : 1.0f;
  const float label_width = std::clamp(r.width() * 0.36f, 48.0f, 84.0f);
  for (size_t i = 0; i < next.top.size() && i < 5; ++i) {
    const view::NextToken& token = next.top[i];
    Rect row = r.cut_top(row_height);
    const Rect label = row.cut_left(label_width);
    panel.canvas.text_in(label.inset(2, 0), Type::small,
                         panel.color(i == 0 ? panel.hex().text : panel.hex().muted), token.text,
                         Align::right);
    row.cut_left(6);
    const Rect number = row.cut_right(36);
    const Rect bar{row.x0, row.y0 + 2, row.x0 + std::max(1.0f, row.width() * token.probability * grown),
                   row.y1 - 2};
    panel.canvas.fill({row.x0, row.y0 + 2, row.x1, row.y1 - 2},
                      panel.color(mix(panel.hex().window, panel.hex().text, 0.06f)));
    panel.canvas.fill(bar, panel.color(i == 0 ? panel.hex().positive
                                              : mix(panel.hex().window, panel.hex().positive, 0.55f)));
    panel.canvas.text_in(number, Type::mono_small, panel.color(panel.hex().text),
                         fmt::format("{:.0f}%", 100 * token.probability), Align::right);
  }
}

}  // namespace

void draw_tokens(Panel& panel) {
  Rect bar = panel.layout.tokens.inset(8, 0);
  Rect left = bar.cut_left(124).inset(0, 5);
  const float half = left.height() / 2;
  draw_choice(panel, "models", left.cut_top(half).inset(0, 1), panel.view.models, panel.view.model,
              binding_for(view::Key::character, 'm'),
              [](const std::string& name) { return view::SetModel{name}; });
  draw_choice(panel, "backends", left.inset(0, 1), panel.view.backends, panel.view.backend,
              binding_for(view::Key::character, 'b'),
              [](const std::string& name) { return view::SetBackend{name}; });
  bar.cut_left(10);
  const bool both = bar.width() > 1000;
  const float top_width = both ? 236.0f : 216.0f;
  if (both) {
    const Rect right = bar.cut_right(top_width);
    bar.cut_right(12);
    draw_top(panel, right.inset(0, 2), panel.view.next[1], "without cache");
    draw_top(panel, bar.cut_right(top_width).inset(0, 2), panel.view.next[0], "with cache");
  } else {
    draw_top(panel, bar.cut_right(top_width).inset(0, 2), panel.view.next[0],
             panel.view.same_next_token ? "both sides" : "with cache");
  }
  bar.cut_right(12);
  const Rect edit = bar.cut_left(28);
  key_button(panel, {edit.x0, edit.y0 + 9, edit.x1, edit.y0 + 9 + 28}, Icon::pencil,
             binding_for(view::Key::character, 'i'));
  bar.cut_left(8);
  draw_strip(panel, bar);
}

}  // namespace lastrow::ui
