// The fables' grammar: what may come next after any prefix, and how likely it is.
//
//   Story story;                                   nothing written yet
//   for (Choice c : story.choices()) …             every possible next token; the probabilities sum to 1
//   story.take(token);                             one of them; then ask again
//
//   Sample s = write(256, random);                 tokens, the nats each one costs, and whom it mentions
//   first_offence(tokens)                          −1, or the index of the first token that cannot stand
//   there
//
// One definition serves generator, parser and loss floor: the state after a prefix is a function of the
// prefix (no text has two readings), so −ln choices()[token] is exactly what the best possible model pays for
// a token.
//
// A story is a row of sentences about at most kMaxCast animals, no two of one species. An animal comes in as
// "the quick brown fox", "a fox named zorbu" or "zorbu the fox", and is "the fox" or "zorbu" from then on.
// What it does depends on what the last sentence that mentions it left it in (Mood), and an angry animal
// makes the sound of its species: both must be looked up in the text, however far back. "the end." closes a
// story and the next begins, with nothing kept.
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
  /// Never a token that choices() lacks: first_offence() is for tokens of unknown origin.
  void take(int32_t token);
  /// A number for the animal that the last token taken names (noun, or one letter of a name), unique in the
  /// text; −1 if it names none.
  int mentioned() const { return mentioned_; }
  /// Whether that token belongs to a later mention rather than to the words that introduce the animal.
  bool again() const { return again_; }

 private:
  enum class Role : uint8_t { subject, object };
  /// What is still to be written; the top of stack_ is next.
  enum class Goal : uint8_t {
    word,         // `value` is the token
    sentence,     // a connective or at once the subject, or the end of the story
    reference,    // an animal in `role`
    after_the,    // the rest of "the …"; `value` 1 where "the end" is possible
    noun_phrase,  // adjectives and noun; `value` 0: any part may come, 1: no adjective, 2: only the noun
    new_name,     // invents the name of the newest animal, letter by letter
    known_name,   // spells a known one; `value` is the next letter's index
    species,      // the noun of an animal that has a name: p = 1 for none, the choice is free
    verb,         // the predicate
    to,           // a preposition of motion or of rest
    in,
    place,  // adjective or noun; `value` is the preposition's token
    place_noun,
    food,
    drink,
    ending,       // adverb, place or full stop; `value` 1 where a place has been named
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
    bool fresh = true;  // has taken part in no finished sentence
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
  void take_noun(Role role, int32_t token);
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

/// A text of the grammar with what it costs.
struct Sample {
  std::vector<int32_t> tokens;   // [n]
  std::vector<double> nats;      // [n]  −ln p(token | tokens before); the first is not predicted by a model
  std::vector<int32_t> animals;  // [n]  Story::mentioned()
  std::vector<bool> again;       // [n]  Story::again()
  std::vector<Choices> next;     // [n]  what may follow each token; empty unless asked for

  /// Mean nats of tokens 1 … n − 1: the least loss any model can reach on this text, in expectation.
  double floor() const;
  /// Mean entropy of `next` in nats: the least cross-entropy to the grammar that any model can reach.
  double entropy() const;
};

/// Writes `n_tokens` tokens from the beginning of a story; the last sentence may be cut off.
Sample write(int n_tokens, Random& random, bool keep_choices = false);

/// Index of the first token that the grammar does not allow after those before it; −1 if there is none.
int64_t first_offence(std::span<const int32_t> tokens);

}  // namespace lastrow::train
