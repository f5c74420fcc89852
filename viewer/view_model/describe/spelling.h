// How a text becomes tokens, word by word: for the preview in the prompt box and for the token strip.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer.h"
#include "viewer/view_model/state/prompt_box.h"

namespace lastrow::view {

/// True for a token that is one character of a word outside the vocabulary.
bool is_character(const Tokenizer& tokenizer, int32_t id);

/// The words of a text that may still be wrong or unfinished. The tokens of all accepted words, one after the
/// other, are those of encode().
std::vector<PromptWord> prompt_words(const Tokenizer& tokenizer, std::string_view text);

/// The runs of tokens that spell one word in characters.
std::vector<SpeltWord> spelt_words(const Tokenizer& tokenizer, std::span<const int32_t> ids);

/// The words that are one token each, in alphabetical order, grouped by their first letter. Of a large
/// vocabulary only a part; of a numbered one the first few tokens.
std::vector<WordGroup> vocabulary(const Tokenizer& tokenizer);
/// What the list of words is: "141 words, each of them one token: click to append".
std::string vocabulary_note(const Tokenizer& tokenizer);

}  // namespace lastrow::view
