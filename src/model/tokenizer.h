// Text to token ids and back.
//
//   Tokenizer tok = Tokenizer::from_words({"the", "fox"}, "abc…z", ".,");    or from_json(…)
//   std::vector<int32_t> ids = tok.encode("The fox sleeps.");                the  fox  s +l +e +e +p +s  .
//   std::string text = tok.decode(ids);                                      "the fox sleeps."
//   tok.piece(ids[3]);                                                       "+l": the text for a label
//
// A word of the vocabulary is one token. Any other word is spelt in characters: the first is a word-initial
// token, each later one a continuing token, which labels show with a "+" in front. So every text over the
// alphabet has tokens. A punctuation mark is a token of its own. There is no token before the text (no BOS):
// "the quick brown fox" is four tokens.
//
// encode() normalises the text without a message:
//   capitals               become small letters
//   white space            becomes one space between words, and is removed at both ends
//   a punctuation mark     has no space before it, and one after it
// Any other character that the alphabet lacks gives a UsageError that names the character and its column.
//
// A *numbered* tokenizer is for models with random weights. Token 12 is "t12". encode() reads such words, and
// hashes any other word into the vocabulary. So every prompt works, but decode() gives numbers, not the text.
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
  /// The ids of the vocabulary have this order: `punctuation`, `words`, word-initial characters, continuing
  /// characters. `characters` and `punctuation` must be printable ASCII without capitals, each listed once.
  /// Throws UsageError if a word is empty, is listed twice, or has a character outside `characters`.
  static Tokenizer from_words(const std::vector<std::string>& words, std::string_view characters,
                              std::string_view punctuation);
  /// The tokens "t0" … "t{vocab_size − 1}". Throws UsageError unless 1 <= vocab_size <= 1,000,000.
  static Tokenizer numbered(int vocab_size);

  /// The text in a model file's metadata, under "lastrow.tokenizer". from_json throws FileError.
  std::string to_json() const;
  static Tokenizer from_json(const std::string& text);

  /// Returns at least one id. Throws UsageError for text without a word, and for unknown characters.
  std::vector<int32_t> encode(std::string_view text) const;
  /// Throws UsageError for an id outside the vocabulary.
  std::string decode(std::span<const int32_t> ids) const;
  /// The text that decode(encode(text)) gives. Throws as encode does.
  std::string normalise(std::string_view text) const { return decode(encode(text)); }

  int vocab_size() const { return static_cast<int>(pieces_.size()); }
  bool is_numbered() const { return numbered_; }
  /// The token as a label shows it: "fox", ".", "z" (begins a spelt word), "+o" (continues one).
  const std::string& piece(int32_t id) const;
  /// Whether decode() puts no space between this token and the one before it.
  bool joins_left(int32_t id) const;
  /// The id of a word or a punctuation mark; −1 if it is not one token. Never the id of a character.
  int32_t id_of(std::string_view word) const;
  /// The id of a character at the start of a word, or inside it if `continuing`; −1 outside the alphabet.
  int32_t id_of(char character, bool continuing) const;
  /// What encode() accepts, for messages and help texts: "letters a to z, digits, - ' . ,".
  std::string accepted() const;

 private:
  Tokenizer() = default;
  void append_word(std::string_view word, std::vector<int32_t>& ids) const;
  std::vector<int32_t> encode_numbered(std::string_view text) const;

  bool numbered_ = false;
  std::vector<std::string> pieces_;  // [vocab_size]
  std::string characters_, punctuation_;
  int32_t first_character_ = 0;  // id of the first word-initial character; the continuing ones follow
  std::unordered_map<std::string, int32_t> words_;  // words and punctuation
};

}  // namespace lastrow
