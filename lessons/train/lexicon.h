// The words of the fables and how likely each is: tables that the grammar reads.
//
// No list has two equal weights. So a well-trained model has one clear best token almost everywhere, and a
// greedy continuation does not depend on rounding.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/tokenizer.h"

namespace lastrow::train {

/// The mood of an animal after the last sentence about it. It decides what the animal may do next.
enum class Mood : uint8_t { calm, playful, tired, asleep, hungry, scared, angry };
constexpr int kMoods = 7;

struct Word {
  std::string_view text;
  double weight;
};

struct Animal {
  std::string_view noun;
  double as_subject, as_object;              // weight of a first mention in that role
  std::string_view sound;                    // its verb when it is angry
  std::string_view first_verb, second_verb;  // its most likely verbs when it first appears
};

/// `rest` follows the verb: words, and one of @animal @to @in @food @drink, which stands for a choice.
struct Verb {
  std::string_view word;
  std::string_view rest;
  Mood subject_after;
  Mood object_after;  // calm, and meaningless, for verbs without @animal
  bool moving;        // selects the adverbs that fit
};

struct Place {
  std::string_view noun;
  double weight;
  std::string_view prepositions;  // those that fit, separated by spaces
};

struct Adjective {
  std::string_view text;
  double of_subject, of_object;
};

const std::vector<Animal>& animals();
const std::vector<Verb>& verbs();  // the sounds of animals() count as the verb kSound
constexpr std::string_view kSound = "(sound)";
const std::vector<Word>& verbs_of(Mood mood);

const std::vector<Adjective>& adjectives();
const std::vector<Word>& colours();
const std::vector<Place>& places();
const std::vector<Word>& place_adjectives();
const std::vector<Word>& words_to();  // prepositions of motion
const std::vector<Word>& words_in();  // prepositions of rest
const std::vector<Word>& foods();
const std::vector<Word>& drinks();
const std::vector<Word>& adverbs(bool moving);
const std::vector<Word>& connectives();
const std::vector<Word>& consonants();  // one character each
const std::vector<Word>& vowels();

/// The tokenizer of the fables: all words above, letters, digits, hyphen, apostrophe, and the marks . and ,
const Tokenizer& fable_tokenizer();

}  // namespace lastrow::train
