// Text to token ids and back.
//
//   Tokenizer tok = Tokenizer::of_words({"the", "fox"}, "abc…z", ".,");   or from_json(text of a model file)
//   std::vector<int32_t> ids = tok.encode("The fox sleeps.");             the  fox  s +l +e +e +p +s  .
//   std::string text = tok.decode(ids);                                   "the fox sleeps."
//   tok.piece(ids[3]);                                                    "+l": what a label shows
//
// A word of the vocabulary is one token. Any other word is spelt: its first character as a word-initial
// token, each later one as a continuing token (shown with a leading "+"), so every text over the alphabet has
// tokens. A punctuation mark is a token of its own. Nothing is put before the text: no BOS, and "the quick
// brown fox" is four tokens.
//
// Normalised, silently: capitals become small letters, any run of white space one space, white space at both
// ends goes, and a punctuation mark has no space before it and one after it. Anything else that the alphabet
// lacks is a UsageError that names the character and its column, never a guess.
//
// A *numbered* tokenizer serves models of random weights: token 12 is "t12", encode reads such words back and
// hashes any other word into the vocabulary. So every prompt runs, and decode gives numbers, not the text.
//
// Invariant (words): decode(encode(x)) == normalise(x), and normalise(normalise(x)) == normalise(x).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lastrow {

class Tokenizer {
 public:
  /// Vocabulary, in this order of ids: `punctuation`, `words`, word-initial then continuing `characters`.
  /// `characters` and `punctuation` are ASCII without white space and capitals, and share nothing.
  /// Throws UsageError if a word is empty, is listed twice or holds a character outside `characters`.
  static Tokenizer of_words(const std::vector<std::string>& words, std::string_view characters,
                            std::string_view punctuation);
  /// Tokens "t0" … "t{vocab_size − 1}". Throws UsageError unless 1 <= vocab_size <= 1,000,000.
  static Tokenizer numbered(int vocab_size);

  /// As carried in a model file's metadata under "lastrow.tokenizer". from_json throws FileError.
  std::string to_json() const;
  static Tokenizer from_json(const std::string& text);

  /// At least one id. Throws UsageError for text without a word (an empty prompt) and for unknown characters.
  std::vector<int32_t> encode(std::string_view text) const;
  /// Throws UsageError for an id outside the vocabulary.
  std::string decode(std::span<const int32_t> ids) const;
  /// The text that decode(encode(text)) gives. Throws as encode does.
  std::string normalise(std::string_view text) const { return decode(encode(text)); }

  int vocab_size() const { return static_cast<int>(pieces_.size()); }
  bool is_numbered() const { return numbered_; }
  /// The token as a label shows it: "fox", ".", "z" (begins a spelt word), "+o" (continues one).
  const std::string& piece(int32_t id) const;
  /// Whether decode puts the token next to the one before it without a space.
  bool joins_left(int32_t id) const;
  /// The id of a whole word or a punctuation mark; −1 if it is not one token. Never a character's id.
  int32_t id_of(std::string_view word) const;
  /// The id of one character, at the start of a word or inside it; −1 outside the alphabet.
  int32_t id_of(char character, bool continuing) const;
  /// "lower-case letters, digits, - ' and the marks . ,": for messages and help texts.
  std::string accepted() const;

 private:
  Tokenizer() = default;
  void append_word(std::string_view word, std::vector<int32_t>& ids) const;
  std::vector<int32_t> encode_numbered(std::string_view text) const;

  bool numbered_ = false;
  std::vector<std::string> pieces_;  // [vocab_size]
  std::string characters_, punctuation_;
  int32_t first_character_ = 0;  // ids: characters_.size() word-initial ones, then as many continuing ones
  std::unordered_map<std::string, int32_t> words_;  // words and punctuation
};

}  // namespace lastrow
