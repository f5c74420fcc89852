// The grammar of the fables: which tokens may come next after any prefix, and how likely each is.
//
//   Story story;                          nothing is written yet
//   for (Choice c : story.choices()) …    every possible next token; the probabilities sum to 1
//   story.take(token);                    takes one of them; then ask again
//
//   Sample s = write(256, random);        tokens, the nats of each, and the animal that it mentions
//   first_offence(tokens)                 −1, or the index of the first token that is not grammatical
//
// One definition serves the generator, the parser and the loss floor. The state after a prefix depends only
// on the prefix, because no text can be parsed in two ways.
// So −ln choices()[token] is exactly the loss of the best possible model.
//
// A story is a sequence of sentences about at most kMaxCast animals of different species. An animal is
// introduced as "the quick brown fox", "a fox named zorbu" or "zorbu the fox"; after that it is "the fox" or
// "zorbu". What it does depends on its Mood, which the last sentence about it set. An angry animal makes the
// sound of its species. A model must look up mood and species in the text, however far back they are. "the end."
// ends a story. The next story begins without animals.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/random.h"
#include "train/choice.h"
#include "train/lexicon.h"

namespace lastrow::train {

class Story {
 public:
  static constexpr int kMaxCast = 4;
  static constexpr int kMinName = 4, kMaxName = 6;  // letters of an invented name

  Story();

  Choices choices() const;
  /// `token` must be one of choices(). For tokens of unknown origin use first_offence().
  void take(int32_t token);
  /// The number of the animal that the last token names (a noun, or one letter of a name), unique in the
  /// text; −1 if it names none.
  int mentioned() const { return mentioned_; }
  /// Is that token part of a later mention, and not of the words that introduce the animal?
  bool again() const { return again_; }

 private:
  enum class Role : uint8_t { subject, object };
  /// What must still be written. The top of stack_ comes next.
  enum class Goal : uint8_t {
    word,         // `value` is the token
    sentence,     // a connective, or the subject, or the end of the story
    reference,    // an animal in `role`
    after_the,    // the rest of "the …"; `value` 1 where "the end" is possible
    noun_phrase,  // adjectives and noun; `value` 0: any part may come, 1: no adjective, 2: only the noun
    new_name,     // invents the name of the newest animal, letter by letter
    known_name,   // spells a known name; `value` is the index of the next letter
    species,      // the noun of an animal that has a name; any species may be chosen
    verb,         // the predicate
    to,           // a preposition of motion or of rest
    in,
    place,  // adjective or noun; `value` is the preposition's token
    place_noun,
    food,
    drink,
    ending,       // adverb, place or full stop; `value` 1 if a place has been named
    period,       // the full stop that ends a sentence
    last_period,  // the one of "the end."
  };
  struct Item {
    Goal goal;
    Role role = Role::subject;
    int value = 0;
  };
  struct Character {
    int number = 0;    // unique in the text
    int species = -1;  // index into animals()
    bool has_name = false;
    std::vector<int> letters{};  // alphabet positions 0..25
    Mood mood = Mood::calm;
    bool fresh = true;  // is in no finished sentence yet
  };
  /// How likely each kind of reference is; sums to 1.
  struct Weights {
    double known[kMaxCast] = {};
    double fresh_the = 0, fresh_a = 0, fresh_name = 0, end = 0;
  };

  void add_choices(size_t depth, double mass, Choices& out) const;
  void add_reference(Role role, bool may_end, double mass, Choices& out) const;
  void add_after_the(const Item& item, double mass, Choices& out) const;
  void add_noun_phrase(Role role, int stage, double mass, Choices& out) const;
  void add_species(Role role, double mass, Choices& out) const;
  void add_letters(size_t depth, double mass, Choices& out) const;
  void add_verbs(double mass, Choices& out) const;
  void add_verbs_of(Mood mood, int species, double mass, Choices& out) const;
  void add_ending(bool place_named, double mass, Choices& out) const;
  Weights weights(Role role, bool may_end) const;

  void take_reference(Role role, bool may_end, int32_t token);
  void take_after_the(Role role, int32_t token);
  void take_noun_phrase(Role role, int32_t token);
  void take_noun(Role role, int32_t token);
  void take_known_letter(const Item& item);
  void take_verb(int32_t token);
  bool take_letter(int32_t token);
  void take_ending(const Item& item, int32_t token);

  void push(Goal goal, Role role = Role::subject, int value = 0) { stack_.push_back({goal, role, value}); }
  void begin_sentence();
  void end_sentence();
  void mention(int index, Role role, bool again);
  int introduce(Role role);
  int known_species(int species) const;  // index into cast_, −1 if not in the story

  std::vector<Item> stack_;
  std::vector<Character> cast_;
  std::vector<int> recent_;  // indices into cast_, last mentioned first
  int subject_ = -1, object_ = -1, verb_ = -1;
  int next_number_ = 0, mentioned_ = -1;
  bool again_ = false;
};

/// A text of the grammar and its probabilities.
struct Sample {
  std::vector<int32_t> tokens;  // [n]
  std::vector<double> nats;  // [n]  −ln p(token | tokens before); a model does not predict the first token
  std::vector<int32_t> animals;  // [n]  Story::mentioned()
  std::vector<bool> again;       // [n]  Story::again()
  std::vector<Choices> next;     // [n]  what may follow each token; empty without keep_choices

  /// Mean nats of tokens 1 … n − 1: in expectation no model can have a smaller loss on this text.
  double floor() const;
  /// Mean entropy of `next` in nats: no model can have a smaller cross-entropy to the grammar.
  double entropy() const;
};

/// Writes `n_tokens` tokens from the beginning of a story. The last sentence may be incomplete.
Sample write(int n_tokens, Random& random, bool keep_choices = false);

/// The index of the first token that the grammar does not allow at its place; −1 if there is none.
int64_t first_offence(std::span<const int32_t> tokens);

}  // namespace lastrow::train
