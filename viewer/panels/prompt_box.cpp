// The box for another prompt: the text, how the model reads it, temperature and seed, words to click.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "viewer/panels/boxes.h"
#include "viewer/panels/overlay.h"
#include "viewer/panels/wrap.h"

namespace lastrow::ui {
namespace {

constexpr float kChip = 24, kChipCaption = 15, kChipGap = 5;

// ---- the preview

/// A piece of the typed text: one chip, or the characters of one word side by side in one outline.
struct Piece {
  const view::PromptWord* word;
  const view::PromptWord::Piece* piece;  // null: the word is not accepted
  std::vector<float> chips;              // widths
  float width = 0;
};

float chip_width(const Panel& panel, const std::string& text) {
  return std::max(16.0f, panel.canvas.width(Type::label, text) + 12);
}

std::vector<Piece> pieces_of(const Panel& panel, const view::PromptBox& box) {
  std::vector<Piece> pieces;
  const auto add = [&](const view::PromptWord& word, const view::PromptWord::Piece* piece,
                       const std::string& caption) {
    Piece& added = pieces.emplace_back(Piece{&word, piece, {}, 0});
    if (piece == nullptr) added.chips = {chip_width(panel, word.text)};
    if (piece != nullptr)
      for (const std::string& token : piece->tokens) added.chips.push_back(chip_width(panel, token));
    added.width = std::max(std::accumulate(added.chips.begin(), added.chips.end(), 0.0f),
                           panel.canvas.width(Type::small, caption));
  };
  for (const view::PromptWord& word : box.words) {
    if (!word.accepted) add(word, nullptr, "not accepted");
    for (const view::PromptWord::Piece& piece : word.pieces) add(word, &piece, piece.caption);
  }
  return pieces;
}

void draw_piece(Panel& panel, const Piece& piece, Rect place) {
  Rect chips = place.cut_top(kChip);
  const bool wrong = piece.piece == nullptr, spelt = !wrong && piece.piece->spelt;
  const Hex edge = wrong ? panel.hex().error : spelt ? panel.hex().muted : panel.hex().line;
  const float total = std::accumulate(piece.chips.begin(), piece.chips.end(), 0.0f);
  const Rect outline{chips.x0, chips.y0, std::min(chips.x1, chips.x0 + total), chips.y1};
  panel.canvas.fill_round(outline, panel.color(panel.hex().window), 4);
  for (size_t i = 0; i < piece.chips.size(); ++i) {
    const Rect chip = chips.cut_left(piece.chips[i]);
    panel.canvas.text_in(chip, Type::label, panel.color(wrong ? panel.hex().error : panel.hex().text),
                         wrong ? piece.word->text : piece.piece->tokens[i], Align::center);
    if (i > 0) panel.canvas.vertical(chip.x0, chip.y0 + 4, chip.y1 - 4, panel.color(panel.hex().line));
  }
  panel.canvas.frame_round(outline, panel.color(edge), 4, wrong || spelt ? 1.5f : 1.0f);
  const std::string caption = wrong ? "not accepted" : piece.piece->caption;
  panel.canvas.text_in(place.cut_top(kChipCaption), Type::small,
                       panel.color(wrong ? panel.hex().error : panel.hex().muted), caption);
}

/// The last rows if there are more than fit, because the end is what the user types.
void draw_preview(Panel& panel, const view::PromptBox& box, Rect r) {
  if (box.words.empty()) {
    panel.canvas.text_in(r, Type::label, panel.color(panel.hex().muted),
                         "The tokens of the text will appear here.");
    return;
  }
  const std::vector<Piece> pieces = pieces_of(panel, box);
  std::vector<float> widths;
  for (const Piece& piece : pieces) widths.push_back(piece.width);
  constexpr float kRow = kChip + kChipCaption, kBefore = 44;
  Wrapped wrapped = wrap(widths, r.width(), kRow, kChipGap);
  if (wrapped.height > r.height()) {  // room for "… 12": the number of tokens before these
    wrapped = wrap(widths, r.width() - kBefore, kRow, kChipGap);
  }
  const float hidden = std::max(0.0f, wrapped.height - r.height());
  const float skip = std::ceil(hidden / (kRow + kChipGap)) * (kRow + kChipGap);
  size_t before = 0;
  for (size_t i = 0; i < pieces.size(); ++i)
    if (wrapped.places[i].y0 < skip) before += pieces[i].chips.size();
  if (before > 0) {
    const Rect place = r.cut_left(kBefore);
    panel.canvas.text_in({place.x0, place.y0, place.x1, place.y0 + kChip}, Type::label,
                         panel.color(panel.hex().muted), fmt::format("… {}", before));
  }
  for (size_t i = 0; i < pieces.size(); ++i)
    if (wrapped.places[i].y0 >= skip)
      draw_piece(panel, pieces[i], wrapped.places[i].moved(r.x0, r.y0 - skip));
}

// ---- temperature and seed

void draw_sampling(Panel& panel, const view::PromptBox& box, Rect row) {
  const ImU32 ink = panel.color(panel.hex().text);
  const auto caption = [&](const char* text) {
    panel.canvas.text_in(row.cut_left(panel.canvas.width(Type::label_bold, text) + 10), Type::label_bold, ink,
                         text);
  };
  const auto step = [&](const char* id, const char* sign, int tenths, const char* what) {
    Touch touched;
    if (text_button(panel, id, row.cut_left(26), sign, false, true, &touched))
      panel.send(view::ChangeTemperature{tenths});
    if (touched.hovered) tooltip(panel, what, "0 takes the most probable token; 2 is the most random.");
  };
  caption("Temperature");
  step("colder", "−", -1, "A tenth lower");
  row.cut_left(4);
  draw_field(panel, view::Field::temperature, row.cut_left(62));
  row.cut_left(4);
  step("warmer", "+", +1, "A tenth higher");
  row.cut_left(20);
  caption("Seed");
  draw_field(panel, view::Field::seed, row.cut_left(110));
  row.cut_left(16);
  const ImU32 muted = panel.color(panel.hex().muted);
  if (panel.canvas.width(Type::small, box.sampling_note) <= row.width())
    panel.canvas.text_in(row, Type::small, muted, box.sampling_note);
  else
    panel.canvas.text_lines(row, Type::small, muted, box.sampling_note, 2, 15);
}

// ---- words to click

struct WordChip {
  const std::string* text;
  bool initial;  // the letter of a group, not a word
};

std::vector<WordChip> word_chips(const view::PromptBox& box) {
  std::vector<WordChip> chips;
  for (const view::WordGroup& group : box.vocabulary) {
    if (!group.initial.empty()) chips.push_back({&group.initial, true});
    for (const std::string& word : group.words) chips.push_back({&word, false});
  }
  return chips;
}

Wrapped place_words(const Panel& panel, const std::vector<WordChip>& chips, float room) {
  std::vector<float> widths;
  for (const WordChip& chip : chips)
    widths.push_back(chip.initial ? 16.0f : panel.canvas.width(Type::label, *chip.text) + 14);
  return wrap(widths, room, kChip, 4);
}

void draw_words(Panel& panel, const std::vector<WordChip>& chips, const Wrapped& places, const Rect& r) {
  ImGui::SetCursorScreenPos({r.x0, r.y0});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {0, 0});
  ImGui::PushStyleColor(ImGuiCol_ScrollbarBg, to_u32(panel.hex().window));
  ImGui::PushStyleColor(ImGuiCol_ScrollbarGrab, to_u32(panel.hex().muted, 0.5f));
  ImGui::BeginChild("words", {r.width(), r.height()}, false, ImGuiWindowFlags_NoNav);
  ImGui::PopStyleColor(2);
  ImGui::PopStyleVar();
  Canvas canvas(ImGui::GetWindowDrawList(), panel.canvas.colors(), panel.canvas.fonts(),
                panel.canvas.scale());
  Panel inside{canvas, panel.view, panel.progress, panel.layout, panel.state, panel.commands};
  const ImVec2 origin = ImGui::GetCursorScreenPos();
  for (size_t i = 0; i < chips.size(); ++i) {
    const Rect place = places.places[i].moved(origin.x, origin.y);
    if (place.y1 < r.y0 || place.y0 > r.y1) continue;
    if (chips[i].initial) {
      canvas.text_in(place, Type::label_bold, inside.color(inside.hex().accent), *chips[i].text,
                     Align::center);
      continue;
    }
    ImGui::PushID(static_cast<int>(i));
    if (button_ground(inside, "word", place)) inside.send(view::AppendWord{*chips[i].text});
    ImGui::PopID();
    canvas.text_in(place, Type::label, inside.color(inside.hex().text), *chips[i].text, Align::center);
  }
  ImGui::SetCursorScreenPos({origin.x, origin.y + places.height});
  ImGui::Dummy({1, 1});
  ImGui::EndChild();
}

void draw_top_rows(Panel& panel, const view::PromptBox& box, Rect& inside) {
  const ImU32 ink = panel.color(panel.hex().text), muted = panel.color(panel.hex().muted);
  panel.canvas.text_in(inside.cut_top(32), Type::sentence, ink, "Prompt");
  panel.canvas.text_in(inside.cut_top(22), Type::label, muted, box.help);
  inside.cut_top(6);
  Rect row = inside.cut_top(34);
  if (text_button(panel, "close prompt", row.cut_right(84), "Cancel")) panel.send(view::OpenPrompt{false});
  row.cut_right(8);
  Touch touched;
  if (text_button(panel, "run prompt", row.cut_right(84), "Run", true, box.can_run, &touched))
    panel.send(view::Confirm{});
  if (touched.hovered)
    tooltip(panel, "Run", box.can_run ? "Start again with this text." : box.cannot_run, "Enter");
  row.cut_right(8);
  const bool wrong = !box.error.empty();
  draw_field(panel, view::Field::prompt, row);
  panel.canvas.frame_round(row, panel.color(wrong ? panel.hex().error : panel.hex().accent), 4, 1.5f);
  inside.cut_top(4);
  Rect line = inside.cut_top(34);
  Rect count = line.cut_right(panel.canvas.width(Type::label_bold, box.count) + 4);
  panel.canvas.text_in(count.cut_top(18), Type::label_bold, ink, box.count, Align::right);
  line.cut_right(16);
  const view::Busy& busy = panel.view.busy;
  panel.canvas.text_lines(line, Type::label, wrong ? panel.color(panel.hex().error) : muted,
                          wrong         ? box.error
                          : busy.active ? busy.text
                                        : box.hint,
                          2, 17);
}

}  // namespace

void draw_prompt_box(Panel& panel) {
  const view::PromptBox& box = panel.view.prompt_box;
  if (!box.open) return;
  constexpr float kMargin = 20, kPreview = 2 * (kChip + kChipCaption) + kChipGap, kFixed = 336;
  const Rect& screen = panel.layout.screen;
  const float width = std::min(940.0f, screen.width() - 64);
  const std::vector<WordChip> chips = word_chips(box);
  const Wrapped words = place_words(panel, chips, width - 2 * kMargin - 16);
  const float height = std::min(screen.height() - 96, kFixed + words.height);
  const float x = screen.center().x - width / 2;
  const float y = std::max(panel.layout.top.y1 + 8, (screen.height() - height) / 2 - 40);
  const Rect place{x, y, x + width, y + height};
  take_over_texts(panel, OpenBox::prompt, box.serial,
                  {{view::Field::prompt, &box.text},
                   {view::Field::temperature, &box.temperature},
                   {view::Field::seed, &box.seed}});
  ModalBox modal(panel, "prompt", place);
  Panel& top = modal.panel();
  Rect inside = place.inset(kMargin, 12);
  draw_top_rows(top, box, inside);
  inside.cut_top(4);
  draw_preview(top, box, inside.cut_top(kPreview));
  inside.cut_top(8);
  top.canvas.horizontal(inside.x0, inside.x1, inside.y0, top.color(top.hex().line));
  inside.cut_top(10);
  draw_sampling(top, box, inside.cut_top(30));
  inside.cut_top(10);
  top.canvas.horizontal(inside.x0, inside.x1, inside.y0, top.color(top.hex().line));
  inside.cut_top(4);
  top.canvas.text_in(inside.cut_top(26), Type::label, top.color(top.hex().muted), box.vocabulary_note);
  draw_words(top, chips, words, inside);
  finish_fields(top, view::Field::prompt);
  if (modal.outside()) top.send(view::OpenPrompt{false});
}

}  // namespace lastrow::ui
