// The box in which the user types a prompt: what is typed so far, how the model reads it, and words to click.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lastrow::view {

/// A part of the typed text between two spaces, as the model reads it.
struct PromptWord {
  struct Piece {
    std::vector<std::string> tokens;  // labels; more than one only if the piece is spelt in characters
    bool spelt = false;               // not in the vocabulary, so each character is a token
    std::string caption;              // "spelt in characters: 5 tokens"; empty for a whole word
  };
  std::string text;
  std::vector<Piece> pieces;  // a word and the punctuation marks beside it; empty if not accepted
  bool accepted = true;       // false: it has a character that the model does not know
};

/// Words of the vocabulary with the same first letter.
struct WordGroup {
  std::string initial;  // "b"
  std::vector<std::string> words;
};

struct PromptBox {
  bool open = false;
  // The three fields, as typed so far. A field keeps its own text while the user types; it takes over these
  // texts when `serial` grows.
  std::string text, temperature, seed;
  uint64_t serial = 0;
  std::string error;  // why the fields cannot be run; empty while they can
  std::string help;   // one line: how to use the box
  std::string hint;   // what the model can read: "accepted: …"
  std::vector<PromptWord> words;
  int n_tokens = 0;
  bool can_run = false;
  std::string cannot_run;     // why not; empty if it can run
  std::string count;          // "7 of 256 tokens"
  std::string sampling_note;  // what temperature and seed do now
  std::vector<WordGroup> vocabulary;
  std::string vocabulary_note;  // "141 words, each of them one token: click to append"
};

/// A word in the token strip that is spelt in characters.
struct SpeltWord {
  int first = 0, n_tokens = 0;  // its tokens, by index in ViewState::tokens
  std::string text;
};

}  // namespace lastrow::view
