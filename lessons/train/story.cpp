// How taking a token changes a Story, and how texts are written.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/error.h"
#include "train/grammar.h"

namespace lastrow::train {
namespace {

const Tokenizer& tok() { return fable_tokenizer(); }

int species_of(int32_t token) {
  static const std::vector<int> table = [] {
    std::vector<int> t(static_cast<size_t>(tok().vocab_size()), -1);
    for (size_t s = 0; s < animals().size(); ++s)
      t[static_cast<size_t>(tok().id_of(animals()[s].noun))] = static_cast<int>(s);
    return t;
  }();
  return table[static_cast<size_t>(token)];
}

bool is_in(const std::vector<Word>& words, int32_t token) {
  return std::any_of(words.begin(), words.end(), [&](const Word& w) { return tok().id_of(w.text) == token; });
}

/// The position in the alphabet of a letter token (at the start of a word or inside); −1 for other tokens.
int letter_of(int32_t token, bool continuing) {
  const int32_t letter = token - tok().id_of('a', continuing);
  return letter >= 0 && letter < 26 ? letter : -1;
}

}  // namespace

void Story::begin_sentence() {
  subject_ = object_ = verb_ = -1;
  push(Goal::ending);
  push(Goal::verb);
  push(cast_.empty() ? Goal::reference : Goal::sentence, Role::subject);
}

void Story::end_sentence() {
  const Verb& verb = verbs()[static_cast<size_t>(verb_)];
  const auto leave = [this](int index, Mood mood) {
    if (index < 0) return;
    cast_[static_cast<size_t>(index)].mood = mood;
    cast_[static_cast<size_t>(index)].fresh = false;
  };
  leave(subject_, verb.subject_after);
  leave(object_, verb.object_after);
  begin_sentence();
}

void Story::take(int32_t token) {
  mentioned_ = -1;
  again_ = false;
  const Item item = stack_.back();
  stack_.pop_back();
  switch (item.goal) {
    case Goal::sentence:
      if (is_in(connectives(), token)) return push(Goal::reference, Role::subject);
      return take_reference(Role::subject, true, token);
    case Goal::reference:
      return take_reference(item.role, false, token);
    case Goal::after_the:
      return take_after_the(item.role, token);
    case Goal::noun_phrase:
      return take_noun_phrase(item.role, token);
    case Goal::species: {
      Character& c = cast_[static_cast<size_t>(recent_.front())];
      c.species = species_of(token);
      mentioned_ = c.number;
      return;
    }
    case Goal::new_name:
      push(Goal::new_name, item.role, 1);
      if (take_letter(token)) return;
      stack_.pop_back();  // the name was complete
      return take(token);
    case Goal::known_name:
      return take_known_letter(item);
    case Goal::verb:
      return take_verb(token);
    case Goal::to:
    case Goal::in:
      push(Goal::place, Role::subject, token);
      return push(Goal::word, Role::subject, tok().id_of("the"));
    case Goal::place:
      if (is_in(place_adjectives(), token)) push(Goal::place_noun, Role::subject, item.value);
      return;
    case Goal::ending:
      return take_ending(item, token);
    case Goal::period:
      return end_sentence();
    case Goal::last_period:
      cast_.clear();
      recent_.clear();
      return begin_sentence();
    case Goal::word:
    case Goal::place_noun:
    case Goal::food:
    case Goal::drink:
      return;
  }
}

void Story::take_after_the(Role role, int32_t token) {
  if (token == tok().id_of("end")) {
    stack_.clear();
    return push(Goal::last_period);
  }
  if (const int known = known_species(species_of(token)); known >= 0) return mention(known, role, true);
  take_noun_phrase(role, token);
}

void Story::take_noun_phrase(Role role, int32_t token) {
  if (species_of(token) >= 0) return take_noun(role, token);
  push(Goal::noun_phrase, role, is_in(colours(), token) ? 2 : 1);
}

void Story::take_known_letter(const Item& item) {
  const Character& c = cast_[static_cast<size_t>(recent_.front())];
  mentioned_ = c.number;
  again_ = true;
  if (item.value + 1 < static_cast<int>(c.letters.size())) push(Goal::known_name, item.role, item.value + 1);
}

void Story::take_reference(Role role, bool may_end, int32_t token) {
  if (token == tok().id_of("the")) return push(Goal::after_the, role, may_end);
  if (token == tok().id_of("a")) {
    push(Goal::new_name, role, 0);
    push(Goal::word, role, tok().id_of("named"));
    return push(Goal::noun_phrase, role, 0);
  }
  const int letter = letter_of(token, false);
  LASTROW_CHECK(letter >= 0, "token {} cannot refer to an animal", token);
  for (size_t i = 0; i < cast_.size(); ++i) {
    if (cast_[i].letters.empty() || cast_[i].letters[0] != letter) continue;
    mention(static_cast<int>(i), role, true);
    return push(Goal::known_name, role, 1);
  }
  push(Goal::species, role);
  push(Goal::word, role, tok().id_of("the"));
  push(Goal::new_name, role, 1);
  introduce(role);
  take_letter(token);
}

void Story::take_noun(Role role, int32_t token) {
  cast_[static_cast<size_t>(introduce(role))].species = species_of(token);
}

bool Story::take_letter(int32_t token) {
  Character& c = cast_[static_cast<size_t>(recent_.front())];
  const int letter = letter_of(token, !c.letters.empty());
  if (letter < 0) return false;
  c.has_name = true;
  c.letters.push_back(letter);
  mentioned_ = c.number;
  return true;
}

void Story::take_verb(int32_t token) {
  const auto& list = verbs();
  verb_ = static_cast<int>(list.size()) - 1;  // kSound, unless the table has the word
  for (size_t i = 0; i < list.size(); ++i)
    if (tok().id_of(list[i].word) == token) verb_ = static_cast<int>(i);
  LASTROW_CHECK(list.back().word == kSound, "the last verb is {}", list.back().word);

  std::istringstream rest{std::string(list[static_cast<size_t>(verb_)].rest)};
  std::vector<Item> items;
  for (std::string word; rest >> word;) {
    if (word == "@animal")
      items.push_back({Goal::reference, Role::object});
    else if (word == "@to")
      items.push_back({Goal::to});
    else if (word == "@in")
      items.push_back({Goal::in});
    else if (word == "@food")
      items.push_back({Goal::food});
    else if (word == "@drink")
      items.push_back({Goal::drink});
    else
      items.push_back({Goal::word, Role::subject, tok().id_of(word)});
    if (word == "@to" || word == "@in") stack_.back().value = 1;  // the ending must not name a second place
  }
  stack_.insert(stack_.end(), items.rbegin(), items.rend());
}

void Story::take_ending(const Item& item, int32_t token) {
  if (token == tok().id_of(".")) return end_sentence();
  push(Goal::period);
  if (!is_in(words_in(), token)) return;  // an adverb
  LASTROW_CHECK(item.value == 0, "a second place in one sentence");
  push(Goal::place, Role::subject, token);
  push(Goal::word, Role::subject, tok().id_of("the"));
}

int Story::introduce(Role role) {
  cast_.push_back({.number = next_number_++});
  const int index = static_cast<int>(cast_.size()) - 1;
  mention(index, role, false);
  return index;
}

void Story::mention(int index, Role role, bool again) {
  std::erase(recent_, index);
  recent_.insert(recent_.begin(), index);
  (role == Role::subject ? subject_ : object_) = index;
  mentioned_ = cast_[static_cast<size_t>(index)].number;
  again_ = again;
}

int Story::known_species(int species) const {
  for (size_t i = 0; i < cast_.size(); ++i)
    if (species >= 0 && cast_[i].species == species) return static_cast<int>(i);
  return -1;
}

double Sample::floor() const {
  double sum = 0;
  for (size_t i = 1; i < nats.size(); ++i) sum += nats[i];
  return sum / static_cast<double>(nats.size() - 1);
}

double Sample::entropy() const {
  double sum = 0;
  for (const Choices& choices : next)
    for (const Choice& c : choices) sum -= c.probability * std::log(c.probability);
  return sum / static_cast<double>(next.size());
}

Sample write(int n_tokens, Random& random, bool keep_choices) {
  Story story;
  Sample s;
  Choices choices = story.choices();
  for (int i = 0; i < n_tokens; ++i) {
    double u = random.uniform();
    size_t pick = 0;
    while (pick + 1 < choices.size() && u >= choices[pick].probability) u -= choices[pick++].probability;
    story.take(choices[pick].token);
    s.tokens.push_back(choices[pick].token);
    s.nats.push_back(-std::log(choices[pick].probability));
    s.animals.push_back(story.mentioned());
    s.again.push_back(story.again());
    choices = story.choices();
    if (keep_choices) s.next.push_back(choices);
  }
  return s;
}

int64_t first_offence(std::span<const int32_t> tokens) {
  Story story;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const Choices choices = story.choices();
    if (std::none_of(choices.begin(), choices.end(), [&](const Choice& c) { return c.token == tokens[i]; }))
      return static_cast<int64_t>(i);
    story.take(tokens[i]);
  }
  return -1;
}

}  // namespace lastrow::train
