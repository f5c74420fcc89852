// The second bar: model and backend, the tokens so far, and the five most probable next tokens of each side.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/panels/blocks.h"
#include "viewer/panels/boxes.h"
#include "viewer/panels/panel.h"

namespace lastrow::ui {
namespace {

const view::Choice* find_chosen(const std::vector<view::Choice>& choices) {
  for (const view::Choice& choice : choices)
    if (choice.selected) return &choice;
  return nullptr;
}

const std::string& button_text(const view::Choice* chosen, const std::string& fallback) {
  return chosen == nullptr ? fallback : chosen->button.empty() ? chosen->name : chosen->button;
}

const char* id_of(view::ChoiceList list) {
  return list == view::ChoiceList::models     ? "models"
         : list == view::ChoiceList::backends ? "backends"
                                              : "caches";
}

/// A button that opens a list (choices.cpp). It shows the chosen entry. `does`: what its key does.
void draw_choice(Panel& panel, view::ChoiceList list, const std::vector<view::Choice>& choices,
                 const std::string& fallback, const char* title, const view::KeyBinding& key,
                 const char* does) {
  const Rect r = list_button(panel.layout, panel, list);
  const view::Choice* chosen = find_chosen(choices);
  Touch touched;
  if (button_ground(panel, id_of(list), r, false, true, &touched)) panel.send(view::OpenChoices{list});
  Rect inside = r.inset(7, 0);
  draw_icon(panel.canvas, inside.cut_right(9), Icon::down, panel.color(panel.hex().muted));
  inside.cut_right(2);
  panel.canvas.text_in(inside, Type::small, panel.color(panel.hex().text), button_text(chosen, fallback));
  if (!touched.hovered) return;
  const std::string what = chosen == nullptr ? fallback : chosen->name;
  tooltip(panel, title, what + ". A click lists what can be chosen" + does + ".", key.key_text());
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

/// The word spelt in characters that the token belongs to, or null.
const view::SpeltWord* spelt_word(const Panel& panel, size_t token) {
  const int i = static_cast<int>(token);
  for (const view::SpeltWord& word : panel.view.spelt_words)
    if (i >= word.first && i < word.first + word.n_tokens) return &word;
  return nullptr;
}

/// joined: the chip is a part of a spelt word, whose outline is drawn around all its chips.
void draw_chip(Panel& panel, const view::TokenChip& chip, const Rect& r, bool joined) {
  const bool is_next = chip.role == view::TokenRole::next, is_input = chip.role == view::TokenRole::input;
  const ImU32 ink = panel.color(panel.hex().text);
  Rect box = r;
  const Rect below = box.cut_bottom(16);
  if (is_next) {
    if (!panel.view.next_visible) return;
    panel.canvas.dashed(box, panel.color(panel.hex().muted), 1, 4, 3);
  } else {
    panel.canvas.fill_round(box, panel.color(panel.hex().pane), 4);
    if (is_input || !joined)
      panel.canvas.frame_round(box, is_input ? ink : panel.color(panel.hex().line), 4,
                               is_input ? 2.0f : 1.0f);
  }
  panel.canvas.text_in(box.inset(joined ? 2.0f : 4.0f, 0), is_input ? Type::body_bold : Type::body,
                       panel.color(is_next ? panel.hex().muted : panel.hex().text), chip.text, Align::center);
  panel.canvas.text_in(below, Type::small, panel.color(panel.hex().muted), chip_note(chip), Align::center);
}

/// The gap before a token: none inside a spelt word, a wide one before the next token.
float gap_before(const Panel& panel, size_t i) {
  constexpr float kBetween = 4;
  const view::SpeltWord* word = spelt_word(panel, i);
  const float wide = panel.view.tokens[i].role == view::TokenRole::next ? 6.0f : 0.0f;
  return wide + (word != nullptr && static_cast<int>(i) > word->first ? 0.0f : kBetween);
}

/// Draws an outline around the chips of a spelt word, from `first` on; its tooltip names the word.
void draw_word_outline(Panel& panel, const view::SpeltWord& word, Rect chips) {
  chips.cut_bottom(16);
  panel.canvas.frame_round(chips, panel.color(panel.hex().muted), 4, 1.5f);
  if (touch("spelt word", word.first, chips).hovered)
    tooltip(panel, word.text,
            fmt::format("This word is not in the vocabulary, so it is spelt in characters: {} tokens.",
                        word.n_tokens));
}

/// The room for the number of tokens that are not shown.
float hidden_width(const Panel& panel) {
  return panel.canvas.width(Type::label, fmt::format("… {}", panel.view.tokens.size())) + 10;
}

/// The index of the first token that is drawn. All tokens after it are drawn too, so the newest ones always are.
size_t first_shown(const Panel& panel, float room) {
  const std::vector<view::TokenChip>& tokens = panel.view.tokens;
  float total = 0;
  size_t first = tokens.size();
  while (first > 0) {
    total += chip_width(panel, tokens[first - 1]) + gap_before(panel, first - 1);
    if (total > room - (first > 1 ? hidden_width(panel) : 0.0f)) break;
    --first;
  }
  return first;
}

void draw_strip(Panel& panel, Rect strip) {
  const std::vector<view::TokenChip>& tokens = panel.view.tokens;
  const size_t first = first_shown(panel, strip.width());
  if (first > 0)
    panel.canvas.text_in(strip.cut_left(hidden_width(panel)), Type::label, panel.color(panel.hex().muted),
                         fmt::format("… {}", first));
  Rect outline;  // of the spelt word that is being drawn
  for (size_t i = first; i < tokens.size(); ++i) {
    strip.cut_left(gap_before(panel, i));
    const Rect place = strip.cut_left(chip_width(panel, tokens[i])).inset(0, 6);
    const view::SpeltWord* word = spelt_word(panel, i);
    const bool shown = tokens[i].role != view::TokenRole::next || panel.view.next_visible;
    draw_chip(panel, tokens[i], place, word != nullptr);
    if (word == nullptr || !shown) {
      if (!outline.empty() && word != nullptr) draw_word_outline(panel, *word, outline);
      outline = {};
      continue;
    }
    outline = outline.empty() ? place : Rect{outline.x0, outline.y0, place.x1, place.y1};
    const view::SpeltWord* after = i + 1 < tokens.size() ? spelt_word(panel, i + 1) : nullptr;
    if (after == word) continue;
    draw_word_outline(panel, *word, outline);
    outline = {};
  }
}

constexpr const char *kWithCache = "with cache", *kWithoutCache = "without cache", *kBothSides = "both sides";

/// The room for the two lines beside the bars of the next tokens.
float caption_width(const Panel& panel) {
  float widest = 0;
  for (const std::string_view text :
       {std::string_view(kWithoutCache), std::string_view(panel.view.sampling.bars_note)})
    widest = std::max(widest, panel.canvas.width(Type::small, text));
  return widest + 8;
}

/// The five most probable next tokens of one side. The one that the side chooses stands out. Two lines beside them say
/// which side it is, and at which temperature the probabilities are.
void draw_top(Panel& panel, Rect r, const view::NextTokens& next, const char* caption) {
  const float row_height = std::floor(r.height() / 5);
  const ImU32 muted = panel.color(panel.hex().muted);
  const Rect side = r.cut_left(caption_width(panel));
  if (touch("bars", static_cast<int>(next.side), side).hovered)
    tooltip(panel, "Next tokens", panel.view.sampling.tooltip);
  const float middle = side.center().y;
  panel.canvas.text_in({side.x0, middle - 15, side.x1, middle}, Type::small, muted, caption);
  panel.canvas.text_in({side.x0, middle, side.x1, middle + 15}, Type::small, muted,
                       panel.view.sampling.bars_note);
  if (!panel.view.next_visible) {
    panel.canvas.text_in(r, Type::small, panel.color(panel.hex().muted), "not computed yet", Align::center);
    return;
  }
  const float grown = panel.view.transport.beat == view::Beat::next ? ease(panel.progress) : 1.0f;
  const float label_width = std::clamp(r.width() * 0.36f, 48.0f, 84.0f);
  for (size_t i = 0; i < next.top.size() && i < 5; ++i) {
    const view::NextToken& token = next.top[i];
    const bool chosen = token.id == panel.view.sampling.chosen[static_cast<size_t>(next.side)];
    Rect row = r.cut_top(row_height);
    const Rect label = row.cut_left(label_width);
    panel.canvas.text_in(label.inset(2, 0), Type::small,
                         panel.color(chosen ? panel.hex().text : panel.hex().muted), token.text,
                         Align::right);
    row.cut_left(6);
    const Rect number = row.cut_right(36);
    const Rect bar{row.x0, row.y0 + 2, row.x0 + std::max(1.0f, row.width() * token.probability * grown),
                   row.y1 - 2};
    panel.canvas.fill({row.x0, row.y0 + 2, row.x1, row.y1 - 2},
                      panel.color(mix(panel.hex().window, panel.hex().text, 0.06f)));
    panel.canvas.fill(bar, panel.color(chosen ? panel.hex().positive
                                              : mix(panel.hex().window, panel.hex().positive, 0.55f)));
    panel.canvas.text_in(number, Type::mono_small, panel.color(panel.hex().text),
                         fmt::format("{:.0f}%", 100 * token.probability), Align::right);
  }
}

}  // namespace

namespace {

/// Prompt and file; under them how tokens are chosen, which opens the prompt box as well.
void draw_edit_buttons(Panel& panel, Rect column) {
  Rect row = column.cut_top(30);
  const view::KeyBinding& prompt = binding_for(view::Key::character, 'i');
  key_button(panel, row.cut_left(30), Icon::pencil, prompt);
  row.cut_left(4);
  key_button(panel, row.cut_left(30), Icon::folder, binding_for(view::Key::character, 'o', false, true));
  column.cut_top(3);
  Touch touched;
  const Rect place = column.cut_top(22);
  if (button_ground(panel, "sampling", place, false, true, &touched)) panel.press(prompt);
  panel.canvas.text_in(place.inset(4, 0), Type::small, panel.color(panel.hex().text),
                       panel.view.sampling.text, Align::center);
  if (touched.hovered) tooltip(panel, "Temperature and seed", panel.view.sampling.tooltip);
}

float edit_width(const Panel& panel) {
  return std::clamp(panel.canvas.width(Type::small, panel.view.sampling.text) + 12, 64.0f, 260.0f);
}

constexpr float kArrow = 30;

/// All buttons are as wide as the widest of their texts.
Rect choice_column(const Layout& layout, const Panel& panel) {
  float text = 0;
  for (const std::string& shown : {button_text(find_chosen(panel.view.models), panel.view.model),
                                   button_text(find_chosen(panel.view.backends), panel.view.backend),
                                   button_text(find_chosen(panel.view.caches.choices), "")})
    text = std::max(text, panel.canvas.width(Type::small, shown));
  Rect bar = layout.tokens.inset(8, 0);
  return bar.cut_left(std::clamp(text + kArrow, 124.0f, 190.0f)).inset(0, 4);
}

/// Whether the lists of both sides show the same tokens with the same percentages.
bool same_shown(const view::NextTokens& a, const view::NextTokens& b) {
  return std::ranges::equal(a.top, b.top, [](const view::NextToken& x, const view::NextToken& y) {
    return x.id == y.id && std::lround(100 * x.probability) == std::lround(100 * y.probability);
  });
}

}  // namespace

Rect list_button(const Layout& layout, const Panel& panel, view::ChoiceList list) {
  Rect column = choice_column(layout, panel);
  const float height = std::floor(column.height() / 3);
  if (list != view::ChoiceList::models) column.cut_top(height);
  if (list == view::ChoiceList::caches) column.cut_top(height);
  return column.cut_top(height).inset(0, 0.5f);
}

void draw_tokens(Panel& panel) {
  Rect bar = panel.layout.tokens.inset(8, 0);
  draw_choice(panel, view::ChoiceList::models, panel.view.models, panel.view.model, "Model",
              binding_for(view::Key::character, 'm'), "; the key takes the next one");
  draw_choice(panel, view::ChoiceList::backends, panel.view.backends, panel.view.backend, "Backend",
              binding_for(view::Key::character, 'b'), "; the key takes the next one");
  draw_choice(panel, view::ChoiceList::caches, panel.view.caches.choices, "", "Cache of the left side",
              binding_for(view::Key::character, 'k'), "");
  bar.cut_left(choice_column(panel.layout, panel).width() + 10);
  const bool both = bar.width() > 1000;
  const float top_width = caption_width(panel) + (both ? 178.0f : 158.0f);
  if (both) {
    const Rect right = bar.cut_right(top_width);
    bar.cut_right(12);
    draw_top(panel, right.inset(0, 2), panel.view.next[1], kWithoutCache);
    draw_top(panel, bar.cut_right(top_width).inset(0, 2), panel.view.next[0], kWithCache);
  } else {
    draw_top(panel, bar.cut_right(top_width).inset(0, 2), panel.view.next[0],
             same_shown(panel.view.next[0], panel.view.next[1]) ? kBothSides : kWithCache);
  }
  bar.cut_right(12);
  draw_edit_buttons(panel, bar.cut_left(edit_width(panel)).inset(0, 4));
  bar.cut_left(6);
  draw_strip(panel, bar);
}

}  // namespace lastrow::ui
