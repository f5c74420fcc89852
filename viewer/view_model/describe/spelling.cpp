#include "viewer/view_model/describe/spelling.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

constexpr int32_t kMostLooked = 2000;  // ids of a large vocabulary, so that a frame stays fast
constexpr int kNumberedShown = 24;     // tokens of a numbered vocabulary that can be clicked

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Cuts tokens into pieces: a token of its own, or the characters of one word.
std::vector<PromptWord::Piece> pieces_of(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::vector<PromptWord::Piece> pieces;
  for (const int32_t id : ids) {
    const bool character = is_character(tokenizer, id);
    if (!character || !tokenizer.joins_left(id) || pieces.empty() || !pieces.back().spelt)
      pieces.push_back({{}, character, ""});
    pieces.back().tokens.push_back(label(tokenizer.piece(id)));
  }
  for (PromptWord::Piece& piece : pieces)
    if (piece.spelt)
      piece.caption =
          fmt::format("spelt in characters: {}", plural(static_cast<int64_t>(piece.tokens.size()), "token"));
  return pieces;
}

std::vector<std::string> words_of(const Tokenizer& tokenizer) {
  std::vector<std::string> words;
  const int32_t end = std::min(tokenizer.vocab_size(), kMostLooked);
  for (int32_t id = 0; id < end; ++id)
    if (!is_character(tokenizer, id) && !tokenizer.joins_left(id)) words.push_back(tokenizer.piece(id));
  std::sort(words.begin(), words.end());
  return words;
}

}  // namespace

bool is_character(const Tokenizer& tokenizer, int32_t id) {
  return !tokenizer.is_numbered() && tokenizer.id_of(tokenizer.piece(id)) != id;
}

std::vector<PromptWord> prompt_words(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<PromptWord> words;
  for (size_t begin = 0; begin < text.size();) {
    if (is_space(text[begin])) {
      ++begin;
      continue;
    }
    size_t end = begin;
    while (end < text.size() && !is_space(text[end])) ++end;
    PromptWord& word = words.emplace_back();
    word.text = text.substr(begin, end - begin);
    try {
      word.pieces = pieces_of(tokenizer, tokenizer.encode(word.text));
    } catch (const Error&) {  // encode() of the whole text says what is wrong, and in which column
      word.accepted = false;
    }
    begin = end;
  }
  return words;
}

std::vector<SpeltWord> spelt_words(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::vector<SpeltWord> words;
  bool inside = false;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!is_character(tokenizer, ids[i])) {
      inside = false;
      continue;
    }
    if (!inside || !tokenizer.joins_left(ids[i])) words.push_back({static_cast<int>(i), 0, ""});
    inside = true;
    ++words.back().n_tokens;
  }
  for (SpeltWord& word : words)
    word.text =
        tokenizer.decode(ids.subspan(static_cast<size_t>(word.first), static_cast<size_t>(word.n_tokens)));
  return words;
}

std::vector<WordGroup> vocabulary(const Tokenizer& tokenizer) {
  std::vector<WordGroup> groups;
  if (tokenizer.is_numbered()) {
    WordGroup& group = groups.emplace_back();
    for (int32_t id = 0; id < std::min(kNumberedShown, tokenizer.vocab_size()); ++id)
      group.words.push_back(tokenizer.piece(id));
    return groups;
  }
  for (std::string& word : words_of(tokenizer)) {
    if (groups.empty() || groups.back().initial[0] != word[0])
      groups.push_back({std::string(1, word[0]), {}});
    groups.back().words.push_back(std::move(word));
  }
  return groups;
}

std::string vocabulary_note(const Tokenizer& tokenizer) {
  if (tokenizer.is_numbered())
    return fmt::format(
        "The weights are random, so the {} tokens are only numbers, t0 to t{}. Any other word is one of them "
        "too.",
        count(tokenizer.vocab_size()), tokenizer.vocab_size() - 1);
  if (tokenizer.vocab_size() > kMostLooked)
    return "Some of the words that are one token each. Click a word to append it.";
  return fmt::format("{} words are one token each. Click a word to append it.",
                     count(static_cast<int64_t>(words_of(tokenizer).size())));
}

}  // namespace lastrow::view
