#include "train/grammar.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"

namespace lastrow::train {
namespace {

// The probabilities of the grammar's choices. No two that compete are equal.

// the first word of a sentence
constexpr double kConnective = .56, kTheEnd = .05;
// the weight of a known animal, by how recently it was mentioned, and of a new one
constexpr double kRecentSubject[] = {.50, .24, .11, .05};
constexpr double kRecentObject[] = {.47, .21, .10, .05};
constexpr double kFreshSubject = .19, kFreshObject = .38;
// how a new animal is introduced
constexpr double kSubjectThe = .67, kSubjectA = .22, kSubjectName = .11;
constexpr double kObjectThe = .80, kObjectA = .15, kObjectName = .05;
// the words before a noun; otherwise the noun comes alone
constexpr double kAdjective = .46, kColour = .28;
constexpr double kColourAfterAdjective = .30;
// the verb of a new animal: one of its two favourites, otherwise by a random mood
constexpr double kFirstVerb = .36, kSecondVerb = .16;
constexpr std::pair<Mood, double> kFreshMoods[] = {{Mood::calm, .40},   {Mood::playful, .20},
                                                   {Mood::tired, .16},  {Mood::hungry, .12},
                                                   {Mood::scared, .07}, {Mood::angry, .05}};
// the end of a sentence; otherwise the full stop
constexpr double kAdverb = .17, kPlaceAtEnd = .21;
constexpr double kAdverbAfterPlace = .13;
constexpr double kPlaceAdjective = .22;
// the letters of a name; after 4 and after 5 letters it may end
constexpr double kVowelFirst = .12, kCluster = .16;
constexpr double kNameEnds[] = {.58, .74};

/// A list of words as tokens with probabilities.
struct Options {
  std::vector<int32_t> tokens;
  std::vector<double> p;

  Options() = default;
  explicit Options(const std::vector<Word>& words) {
    for (const Word& w : words) add(fable_tokenizer().id_of(w.text), w.weight);
    normalise();
  }
  void add(int32_t token, double weight) {
    tokens.push_back(token);
    p.push_back(weight);
  }
  void normalise() {
    double sum = 0;
    for (double x : p) sum += x;
    for (double& x : p) x /= sum;
  }
};

bool fits(std::string_view preposition, const Place& place) {
  const std::string all = fmt::format(" {} ", place.prepositions);
  return all.find(fmt::format(" {} ", preposition)) != std::string::npos;
}

/// The lexicon as tokens. It is made once.
struct Tokens {
  const Tokenizer& tok = fable_tokenizer();
  int32_t the = tok.id_of("the"), a = tok.id_of("a"), named = tok.id_of("named"), end = tok.id_of("end"),
          stop = tok.id_of(".");
  Options colours{train::colours()}, place_adjectives{train::place_adjectives()}, to{words_to()},
      in{words_in()}, foods{train::foods()}, drinks{train::drinks()}, connectives{train::connectives()};
  Options adverbs[2] = {Options(train::adverbs(false)), Options(train::adverbs(true))};  // by Verb::moving
  std::map<int32_t, Options> places;                                                     // by preposition
  Options adjectives[2], nouns[2];                                                       // by role
  std::vector<int32_t> sounds;                                                           // by species
  std::vector<std::pair<double, bool>> letters;  // 26 × (weight within its kind, is a vowel)

  Tokens() {
    for (const Adjective& w : train::adjectives()) {
      adjectives[0].add(tok.id_of(w.text), w.of_subject);
      adjectives[1].add(tok.id_of(w.text), w.of_object);
    }
    for (const Animal& w : animals()) {
      nouns[0].add(tok.id_of(w.noun), w.as_subject);
      nouns[1].add(tok.id_of(w.noun), w.as_object);
      sounds.push_back(tok.id_of(w.sound));
    }
    for (Options* options : {adjectives, nouns}) {
      options[0].normalise();
      options[1].normalise();
    }
    for (const auto* list : {&words_to(), &words_in()})
      for (const Word& preposition : *list) {
        Options& fitting = places[tok.id_of(preposition.text)];
        for (const Place& place : train::places())
          if (fits(preposition.text, place)) fitting.add(tok.id_of(place.noun), place.weight);
        fitting.normalise();
      }
    letters.resize(26);
    for (const Word& w : consonants()) letters[static_cast<size_t>(w.text[0] - 'a')] = {w.weight, false};
    for (const Word& w : vowels()) letters[static_cast<size_t>(w.text[0] - 'a')] = {w.weight, true};
  }
  int species_of(int32_t noun) const {
    const auto found = std::find(nouns[0].tokens.begin(), nouns[0].tokens.end(), noun);
    return found == nouns[0].tokens.end() ? -1 : static_cast<int>(found - nouns[0].tokens.begin());
  }
  /// The token of a verb of the table; kSound becomes the sound of the species.
  int32_t verb_token(std::string_view word, int species) const {
    return word == kSound ? sounds[static_cast<size_t>(species)] : tok.id_of(word);
  }
};

const Tokens& tokens() {
  static const Tokens t;
  return t;
}

void add(Choices& out, int32_t token, double mass) {
  if (mass <= 0) return;
  for (Choice& c : out)
    if (c.token == token) {
      c.probability += mass;
      return;
    }
  out.push_back({token, mass});
}
void add(Choices& out, const Options& options, double mass) {
  for (size_t i = 0; i < options.tokens.size(); ++i) add(out, options.tokens[i], mass * options.p[i]);
}

std::string spelt(const std::vector<int>& letters) {
  std::string text;
  for (int letter : letters) text += static_cast<char>('a' + letter);
  return text;
}
bool is_vowel(int letter) { return tokens().letters[static_cast<size_t>(letter)].second; }

}  // namespace

Story::Story() { begin_sentence(); }

Choices Story::choices() const {
  Choices out;
  out.reserve(64);
  add_choices(stack_.size() - 1, 1.0, out);
  return out;
}

void Story::add_choices(size_t depth, double mass, Choices& out) const {
  const Tokens& t = tokens();
  const Item& item = stack_[depth];
  switch (item.goal) {
    case Goal::word:
      return add(out, item.value, mass);
    case Goal::sentence:
      add(out, t.connectives, mass * kConnective);
      return add_reference(Role::subject, true, mass * (1 - kConnective), out);
    case Goal::reference:
      return add_reference(item.role, false, mass, out);
    case Goal::after_the:
      return add_after_the(item, mass, out);
    case Goal::noun_phrase:
      return add_noun_phrase(item.role, item.value, mass, out);
    case Goal::species:
      return add_species(item.role, mass, out);
    case Goal::new_name:
      return add_letters(depth, mass, out);
    case Goal::known_name: {
      const Character& c = cast_[static_cast<size_t>(recent_.front())];
      return add(out, t.tok.id_of(spelt(c.letters)[static_cast<size_t>(item.value)], true), mass);
    }
    case Goal::verb:
      return add_verbs(mass, out);
    case Goal::to:
      return add(out, t.to, mass);
    case Goal::in:
      return add(out, t.in, mass);
    case Goal::place:
      add(out, t.place_adjectives, mass * kPlaceAdjective);
      return add(out, t.places.at(item.value), mass * (1 - kPlaceAdjective));
    case Goal::place_noun:
      return add(out, t.places.at(item.value), mass);
    case Goal::food:
      return add(out, t.foods, mass);
    case Goal::drink:
      return add(out, t.drinks, mass);
    case Goal::ending:
      return add_ending(item.value != 0, mass, out);
    case Goal::period:
    case Goal::last_period:
      return add(out, t.stop, mass);
  }
}

Story::Weights Story::weights(Role role, bool may_end) const {
  const bool subject = role == Role::subject;
  Weights w;
  double sum = 0;
  size_t rank = 0;
  for (int i : recent_) {
    if (!subject && i == subject_) continue;
    sum += w.known[i] = subject ? kRecentSubject[rank] : kRecentObject[rank];
    ++rank;
  }
  double fresh = cast_.size() >= kMaxCast ? 0 : subject ? kFreshSubject : kFreshObject;
  if (may_end) w.end = kTheEnd / (1 - kConnective);
  const double scale = (1 - w.end) / (sum + fresh);
  for (double& known : w.known) known *= scale;
  fresh *= scale;
  w.fresh_the = fresh * (subject ? kSubjectThe : kObjectThe);
  w.fresh_a = fresh * (subject ? kSubjectA : kObjectA);
  w.fresh_name = fresh * (subject ? kSubjectName : kObjectName);
  return w;
}

void Story::add_reference(Role role, bool may_end, double mass, Choices& out) const {
  const Tokens& t = tokens();
  const Weights w = weights(role, may_end);
  double the = w.fresh_the + w.end;
  for (size_t i = 0; i < cast_.size(); ++i) {
    if (cast_[i].has_name)
      add(out, t.tok.id_of(spelt(cast_[i].letters)[0], false), mass * w.known[i]);
    else
      the += w.known[i];
  }
  add(out, t.the, mass * the);
  add(out, t.a, mass * w.fresh_a);
  if (w.fresh_name == 0) return;
  Choices first;
  add_letters(0, w.fresh_name, first);
  for (const Choice& c : first) add(out, c.token, mass * c.probability);
}

void Story::add_after_the(const Item& item, double mass, Choices& out) const {
  const Weights w = weights(item.role, item.value != 0);
  double the = w.fresh_the + w.end;
  for (size_t i = 0; i < cast_.size(); ++i) the += cast_[i].has_name ? 0 : w.known[i];
  for (size_t i = 0; i < cast_.size(); ++i)
    if (!cast_[i].has_name)
      add(out, tokens().nouns[0].tokens[static_cast<size_t>(cast_[i].species)], mass * w.known[i] / the);
  add(out, tokens().end, mass * w.end / the);
  if (w.fresh_the > 0) add_noun_phrase(item.role, 0, mass * w.fresh_the / the, out);
}

void Story::add_noun_phrase(Role role, int stage, double mass, Choices& out) const {
  const Tokens& t = tokens();
  const double adjective = stage == 0 ? kAdjective : 0;
  const double colour = stage == 0 ? kColour : stage == 1 ? kColourAfterAdjective : 0;
  add(out, t.adjectives[static_cast<int>(role)], mass * adjective);
  add(out, t.colours, mass * colour);
  add_species(role, mass * (1 - adjective - colour), out);
}

void Story::add_species(Role role, double mass, Choices& out) const {
  const Options& nouns = tokens().nouns[static_cast<int>(role)];
  double left = 1;
  for (const Character& c : cast_)
    if (c.species >= 0) left -= nouns.p[static_cast<size_t>(c.species)];
  for (size_t s = 0; s < nouns.p.size(); ++s)
    if (known_species(static_cast<int>(s)) < 0) add(out, nouns.tokens[s], mass * nouns.p[s] / left);
}

/// The letters of the newest animal's name; at depth 0, the first letter of the name of a new animal. The
/// names of a story begin with different letters.
/// No name is a word of the vocabulary, and no name ends with a cluster.
void Story::add_letters(size_t depth, double mass, Choices& out) const {
  const Tokens& t = tokens();
  static const std::vector<int> none;
  const bool inside = depth > 0 && stack_[depth].value > 0;
  const std::vector<int>& name = inside ? cast_.back().letters : none;
  const size_t n = name.size();
  const bool after_vowel = n > 0 && is_vowel(name[n - 1]);
  const bool after_cluster = n > 1 && !after_vowel && !is_vowel(name[n - 2]);
  double ends = n < kMinName || (after_cluster && n < kMaxName) ? 0
                : n == kMaxName                                 ? 1
                                                                : kNameEnds[n - kMinName];
  if (ends > 0) add_choices(depth - 1, mass * ends, out);
  if (ends == 1) return;
  // A vowel must follow a cluster, so no cluster begins at the last letter.
  const double vowel = n == 0                                         ? kVowelFirst
                       : after_vowel                                  ? 0
                       : after_cluster || n + 1 == kMaxName || n == 1 ? 1
                                                                      : 1 - kCluster;
  std::vector<double> weight(26, 0.0);
  double sum[2] = {0, 0};
  for (int letter = 0; letter < 26; ++letter) {
    const auto [share, is_v] = t.letters[static_cast<size_t>(letter)];
    std::vector<int> longer = name;
    longer.push_back(letter);
    bool taken = n + 1 >= kMinName && t.tok.id_of(spelt(longer)) >= 0;
    for (size_t i = 0; n == 0 && i < cast_.size(); ++i)
      taken = taken || (!cast_[i].letters.empty() && cast_[i].letters[0] == letter);
    weight[static_cast<size_t>(letter)] = taken ? 0 : share;
    sum[is_v] += taken ? 0 : share;
  }
  for (int letter = 0; letter < 26; ++letter) {
    const bool is_v = t.letters[static_cast<size_t>(letter)].second;
    add(out, t.tok.id_of(static_cast<char>('a' + letter), n > 0),
        mass * (1 - ends) * (is_v ? vowel : 1 - vowel) * weight[static_cast<size_t>(letter)] / sum[is_v]);
  }
}

void Story::add_verbs(double mass, Choices& out) const {
  const Character& c = cast_[static_cast<size_t>(subject_)];
  const Animal& animal = animals()[static_cast<size_t>(c.species)];
  if (!c.fresh) return add_verbs_of(c.mood, c.species, mass, out);
  add(out, tokens().tok.id_of(animal.first_verb), mass * kFirstVerb);
  add(out, tokens().tok.id_of(animal.second_verb), mass * kSecondVerb);
  mass *= 1 - kFirstVerb - kSecondVerb;
  for (const auto& [mood, share] : kFreshMoods) add_verbs_of(mood, c.species, mass * share, out);
}

void Story::add_verbs_of(Mood mood, int species, double mass, Choices& out) const {
  double sum = 0;
  for (const Word& w : verbs_of(mood)) sum += w.weight;
  for (const Word& w : verbs_of(mood)) add(out, tokens().verb_token(w.text, species), mass * w.weight / sum);
}

void Story::add_ending(bool place_named, double mass, Choices& out) const {
  const double adverb = place_named ? kAdverbAfterPlace : kAdverb;
  const double place = place_named ? 0 : kPlaceAtEnd;
  add(out, tokens().stop, mass * (1 - adverb - place));
  add(out, tokens().adverbs[verbs()[static_cast<size_t>(verb_)].moving], mass * adverb);
  add(out, tokens().in, mass * place);
}

}  // namespace lastrow::train
