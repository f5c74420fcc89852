#include "model/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/number.h"
#include "io/checked.h"
#include "io/json.h"

namespace lastrow {
namespace {

constexpr int kMaxVocabSize = 1'000'000;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_continuation_byte(char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; }

/// The character that starts at `begin`, with all its UTF-8 bytes, or its first byte in hex if it is
/// unprintable.
std::string character_at(std::string_view text, size_t begin) {
  size_t end = begin + 1;
  while (end < text.size() && end < begin + 4 && is_continuation_byte(text[end])) ++end;
  const auto first = static_cast<unsigned char>(text[begin]);
  const size_t expected = first < 0x80u    ? 1
                          : first >= 0xF0u ? 4
                          : first >= 0xE0u ? 3
                          : first >= 0xC0u ? 2
                                           : 0;
  if (first < 0x20u || first == 0x7Fu || expected != end - begin) return fmt::format("byte 0x{:02x}", first);
  return fmt::format("'{}'", text.substr(begin, end - begin));
}

/// The column of a byte, counted in characters from 1.
int column_at(std::string_view text, size_t position) {
  int column = 1;
  for (size_t i = 0; i < position; ++i) column += is_continuation_byte(text[i]) ? 0 : 1;
  return column;
}

void require_alphabet(std::string_view characters, std::string_view punctuation) {
  std::string seen;
  for (std::string_view set : {characters, punctuation})
    for (char c : set) {
      if (c <= ' ' || c >= 0x7F || lower(c) != c)  // correct whether char is signed or not
        throw UsageError("tokenizer: {} cannot be in the alphabet: use printable ASCII without capitals",
                         character_at(set, set.find(c)));
      if (seen.find(c) != std::string::npos)
        throw UsageError("tokenizer: '{}' is in the alphabet twice: list each character once", c);
      seen += c;
    }
}

}  // namespace

Tokenizer Tokenizer::from_words(const std::vector<std::string>& words, std::string_view characters,
                                std::string_view punctuation) {
  require_alphabet(characters, punctuation);
  const size_t size = punctuation.size() + words.size() + 2 * characters.size();
  if (size == 0 || size > kMaxVocabSize)
    throw UsageError("tokenizer: {} tokens: a vocabulary must have 1 to {}", size, kMaxVocabSize);
  Tokenizer t;
  t.characters_ = characters;
  t.punctuation_ = punctuation;
  const auto add_word = [&t](const std::string& word) {
    if (!t.words_.emplace(word, t.vocab_size()).second)
      throw UsageError("tokenizer: the word {} is listed twice: list it once", shown(word));
    t.pieces_.push_back(word);
  };
  for (char mark : punctuation) add_word(std::string(1, mark));
  for (const std::string& word : words) {
    if (word.empty() || word.find_first_not_of(characters) != std::string::npos)
      throw UsageError("tokenizer: the word {} has a character outside the alphabet \"{}\"", shown(word),
                       characters);
    add_word(word);
  }
  t.first_character_ = t.vocab_size();
  for (char c : characters) t.pieces_.emplace_back(1, c);
  for (char c : characters) t.pieces_.push_back(std::string("+") + c);
  return t;
}

Tokenizer Tokenizer::numbered(int vocab_size) {
  if (vocab_size < 1 || vocab_size > kMaxVocabSize)
    throw UsageError("tokenizer: vocab_size {} is outside 1 to {}", vocab_size, kMaxVocabSize);
  Tokenizer t;
  t.numbered_ = true;
  t.pieces_.reserve(static_cast<size_t>(vocab_size));
  for (int i = 0; i < vocab_size; ++i) t.pieces_.push_back(fmt::format("t{}", i));
  return t;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  if (numbered_) {
    ids = encode_numbered(text);
  } else {
    std::string word;
    const auto end_word = [&] {
      append_word(word, ids);
      word.clear();
    };
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = lower(text[i]);
      if (is_space(c)) {
        end_word();
      } else if (punctuation_.find(c) != std::string::npos) {
        end_word();
        ids.push_back(id_of(std::string_view(&c, 1)));
      } else if (characters_.find(c) != std::string::npos) {
        word += c;
      } else {
        throw UsageError("{} in column {} is not in this model's alphabet: use {}", character_at(text, i),
                         column_at(text, i), accepted());
      }
    }
    end_word();
  }
  if (ids.empty()) throw UsageError("the text is empty: give at least one word");
  return ids;
}

void Tokenizer::append_word(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  if (const int32_t id = id_of(word); id >= 0) {
    ids.push_back(id);
    return;
  }
  for (size_t i = 0; i < word.size(); ++i) ids.push_back(id_of(word[i], i > 0));
}

std::vector<int32_t> Tokenizer::encode_numbered(std::string_view text) const {
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin < text.size();) {
    if (is_space(text[begin])) {
      ++begin;
      continue;
    }
    size_t end = begin;
    uint64_t hash = 0xCBF29CE484222325u;  // FNV-1a, 64 bits
    for (; end < text.size() && !is_space(text[end]); ++end)
      hash = (hash ^ static_cast<unsigned char>(lower(text[end]))) * 0x100000001B3u;
    // A number too large for 64 bits is also outside the vocabulary.
    const std::string_view digits = text.substr(begin + 1, end - begin - 1);
    const bool is_number =
        lower(text[begin]) == 't' && !digits.empty() && digits.find_first_not_of("0123456789") == digits.npos;
    const int64_t number = is_number ? whole_number<int64_t>(digits).value_or(-1) : -1;
    if (is_number && (number < 0 || number >= vocab_size()))
      throw UsageError("token {} in column {} is outside the vocabulary t0 to t{}",
                       text.substr(begin, end - begin), column_at(text, begin), vocab_size() - 1);
    ids.push_back(static_cast<int32_t>(is_number ? number : hash % static_cast<uint64_t>(vocab_size())));
    begin = end;
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (int32_t id : ids) {
    const std::string& shown = piece(id);
    if (!text.empty() && !joins_left(id)) text += ' ';
    const bool continuing = !numbered_ && id >= first_character_ + static_cast<int32_t>(characters_.size());
    text += continuing ? shown.substr(1) : shown;
  }
  return text;
}

const std::string& Tokenizer::piece(int32_t id) const {
  if (id < 0 || id >= vocab_size())
    throw UsageError("token id {} is outside the vocabulary 0 to {}", id, vocab_size() - 1);
  return pieces_[static_cast<size_t>(id)];
}

bool Tokenizer::joins_left(int32_t id) const {
  if (numbered_) return false;
  return id < static_cast<int32_t>(punctuation_.size()) ||
         id >= first_character_ + static_cast<int32_t>(characters_.size());
}

int32_t Tokenizer::id_of(std::string_view word) const {
  const auto found = words_.find(std::string(word));
  return found == words_.end() ? -1 : found->second;
}

int32_t Tokenizer::id_of(char character, bool continuing) const {
  const size_t i = characters_.find(character);
  if (i == std::string::npos) return -1;
  return first_character_ + static_cast<int32_t>(i + (continuing ? characters_.size() : 0));
}

std::string Tokenizer::accepted() const {
  if (numbered_) return fmt::format("any words, or t0 to t{}", vocab_size() - 1);
  std::string letters = characters_, others, text;
  for (const auto& [range, name] : {std::pair{std::string("abcdefghijklmnopqrstuvwxyz"), "letters a to z"},
                                    std::pair{std::string("0123456789"), "digits"}}) {
    if (const size_t at = letters.find(range); at != std::string::npos) {
      letters.erase(at, range.size());
      text += (text.empty() ? "" : ", ") + std::string(name);
    }
  }
  for (char c : letters + punctuation_) others += std::string(others.empty() ? "" : " ") + c;
  return text + (text.empty() || others.empty() ? "" : ", ") + others;
}

std::string Tokenizer::to_json() const {
  nlohmann::ordered_json json;
  if (numbered_) {
    json = {{"kind", "numbered"}, {"vocab_size", vocab_size()}};
  } else {
    const auto begin = pieces_.begin() + static_cast<std::ptrdiff_t>(punctuation_.size());
    const std::vector<std::string> words(begin, pieces_.begin() + first_character_);
    json = {{"kind", "words"}, {"words", words}, {"characters", characters_}, {"punctuation", punctuation_}};
  }
  return json.dump();
}

Tokenizer Tokenizer::from_json(const std::string& text) {
  const nlohmann::json json = parse_json(text, "tokenizer");
  const auto field = [&](const char* name, const char* type, auto fits) -> const nlohmann::json& {
    if (!json.is_object() || !json.contains(name)) throw FileError("tokenizer: field '{}' is missing", name);
    const nlohmann::json& entry = json.at(name);
    if (!fits(entry)) throw FileError("tokenizer: field '{}' should be {}", name, type);
    return entry;
  };
  const auto is_text = [](const nlohmann::json& x) { return x.is_string(); };
  const auto text_field = [&](const char* name) { return field(name, "text", is_text).get<std::string>(); };
  const auto is_list_of_text = [&](const nlohmann::json& x) {
    return x.is_array() && std::all_of(x.begin(), x.end(), is_text);
  };
  const auto is_size = [](const nlohmann::json& x) {
    return x.is_number_integer() && x >= 0 && x <= kMaxVocabSize;
  };
  try {
    const std::string kind = text_field("kind");
    if (kind == "numbered")
      return numbered(
          field("vocab_size", fmt::format("a number up to {}", kMaxVocabSize).c_str(), is_size).get<int>());
    if (kind == "words")
      return from_words(field("words", "a list of words", is_list_of_text).get<std::vector<std::string>>(),
                        text_field("characters"), text_field("punctuation"));
    throw FileError("tokenizer: the kind {} is unknown: this version knows \"words\" and \"numbered\"",
                    shown(kind));
  } catch (const UsageError& e) {
    throw FileError("the tokenizer in the model file is damaged: {}", e.what());
  }
}

}  // namespace lastrow
