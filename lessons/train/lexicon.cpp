#include "train/lexicon.h"

#include <set>
#include <string>

namespace lastrow::train {

const std::vector<Animal>& animals() {
  static const std::vector<Animal> list = {
      {"fox", .170, .060, "yelps", "jumps", "runs"},
      {"dog", .140, .200, "barks", "chases", "fights"},
      {"cat", .120, .150, "meows", "watches", "sleeps"},
      {"bear", .080, .050, "growls", "sleeps", "eats"},
      {"horse", .072, .058, "neighs", "runs", "jumps"},
      {"wolf", .068, .048, "howls", "follows", "howls"},
      {"bird", .060, .090, "sings", "sings", "watches"},
      {"rabbit", .050, .080, "squeaks", "runs", "hides"},
      {"mouse", .042, .075, "squeaks", "hides", "eats"},
      {"lion", .040, .020, "roars", "rests", "roars"},
      {"cow", .035, .052, "moos", "eats", "walks"},
      {"duck", .031, .045, "quacks", "walks", "quacks"},
      {"pig", .029, .040, "grunts", "eats", "sleeps"},
      {"goat", .026, .035, "bleats", "jumps", "bites"},
      {"sheep", .023, .042, "bleats", "walks", "rests"},
      {"frog", .021, .030, "croaks", "jumps", "croaks"},
      {"hen", .018, .032, "clucks", "walks", "clucks"},
      {"tiger", .020, .012, "roars", "follows", "roars"},
      {"snake", .017, .014, "hisses", "hides", "bites"},
      {"goose", .015, .024, "honks", "bites", "honks"},
      {"donkey", .013, .018, "brays", "walks", "brays"},
      {"monkey", .016, .011, "chatters", "plays", "dances"},
      {"deer", .011, .013, "bleats", "runs", "drinks"},
      {"squirrel", .012, .016, "chatters", "runs", "finds"},
  };
  return list;
}

const std::vector<Verb>& verbs() {
  using enum Mood;
  static const std::vector<Verb> list = {
      {"jumps", "over @animal", tired, angry, true},
      {"chases", "@animal", hungry, scared, true},
      {"fights", "@animal", tired, scared, true},
      {"bites", "@animal", playful, angry, true},
      {"plays", "with @animal", tired, playful, true},
      {"watches", "@animal", hungry, scared, false},
      {"finds", "@animal", playful, hungry, false},
      {"follows", "@animal", hungry, calm, true},
      {"greets", "@animal", calm, playful, false},
      {"dreams", "of @animal", asleep, calm, false},
      {"runs", "@to", tired, calm, true},
      {"walks", "@to", hungry, calm, true},
      {"hides", "@in", tired, calm, false},
      {"eats", "@food", playful, calm, true},
      {"looks", "for @food", hungry, calm, false},
      {"drinks", "@drink", playful, calm, true},
      {"sleeps", "", asleep, calm, false},
      {"wakes", "up", hungry, calm, false},
      {"rests", "", playful, calm, false},
      {"trembles", "", tired, calm, false},
      {"dances", "", hungry, calm, true},
      {kSound, "", calm, calm, false},
  };
  return list;
}

const std::vector<Word>& verbs_of(Mood mood) {
  static const std::vector<Word> table[kMoods] = {
      {{"runs", .36}, {"walks", .25}, {"watches", .19}, {"follows", .12}, {"finds", .08}},
      {{"jumps", .37}, {"chases", .24}, {"plays", .18}, {"dances", .12}, {"greets", .09}},
      {{"sleeps", .54}, {"rests", .26}, {"drinks", .20}},
      {{"wakes", .70}, {"dreams", .30}},
      {{"eats", .51}, {"looks", .26}, {"drinks", .14}, {"follows", .09}},
      {{"hides", .51}, {"runs", .28}, {"trembles", .21}},
      {{kSound, .41}, {"fights", .28}, {"chases", .19}, {"bites", .12}},
  };
  return table[static_cast<int>(mood)];
}

const std::vector<Adjective>& adjectives() {
  static const std::vector<Adjective> list = {
      {"quick", .22, .05}, {"lazy", .05, .25},  {"small", .14, .12},  {"big", .12, .14},
      {"wise", .10, .10},  {"young", .09, .08}, {"clever", .08, .04}, {"happy", .06, .055},
      {"sad", .035, .06},  {"shy", .03, .065},  {"brave", .055, .02}, {"sleepy", .02, .03},
  };
  return list;
}

const std::vector<Word>& colours() {
  static const std::vector<Word> list = {{"brown", .30}, {"black", .24},  {"white", .16},  {"grey", .10},
                                         {"red", .08},   {"golden", .05}, {"yellow", .04}, {"spotted", .03}};
  return list;
}

const std::vector<Place>& places() {
  static const std::vector<Place> list = {{"forest", .180, "to through in near"},
                                          {"river", .140, "to near"},
                                          {"tree", .110, "to around under near behind"},
                                          {"lake", .090, "to around near"},
                                          {"house", .080, "to around in near behind"},
                                          {"hill", .070, "to around near behind"},
                                          {"field", .062, "to through in near"},
                                          {"garden", .055, "to through in near"},
                                          {"barn", .045, "to through in near behind"},
                                          {"cave", .040, "to through in near"},
                                          {"meadow", .035, "to through in near"},
                                          {"bridge", .029, "to under near"},
                                          {"mountain", .024, "to around near behind"},
                                          {"village", .019, "to through in near"},
                                          {"pond", .013, "to around near"},
                                          {"valley", .008, "to through in"}};
  return list;
}

const std::vector<Word>& place_adjectives() {
  static const std::vector<Word> list = {
      {"dark", .36}, {"old", .26}, {"quiet", .18}, {"green", .12}, {"little", .08}};
  return list;
}

const std::vector<Word>& words_to() {
  static const std::vector<Word> list = {{"to", .62}, {"through", .24}, {"around", .14}};
  return list;
}
const std::vector<Word>& words_in() {
  static const std::vector<Word> list = {{"in", .48}, {"near", .24}, {"under", .17}, {"behind", .11}};
  return list;
}
const std::vector<Word>& foods() {
  static const std::vector<Word> list = {{"berries", .35}, {"bread", .20}, {"fish", .17},
                                         {"apples", .13},  {"honey", .09}, {"nuts", .06}};
  return list;
}
const std::vector<Word>& drinks() {
  static const std::vector<Word> list = {{"water", .62}, {"milk", .29}, {"tea", .09}};
  return list;
}
const std::vector<Word>& adverbs(bool moving) {
  static const std::vector<Word> of_motion = {{"quickly", .42}, {"happily", .20}, {"slowly", .15},
                                              {"again", .10},   {"alone", .07},   {"tonight", .06}};
  static const std::vector<Word> of_rest = {{"quietly", .44}, {"happily", .17}, {"alone", .15},
                                            {"again", .11},   {"tonight", .08}, {"slowly", .05}};
  return moving ? of_motion : of_rest;
}
const std::vector<Word>& connectives() {
  static const std::vector<Word> list = {{"then", .58}, {"soon", .22}, {"later", .13}, {"now", .07}};
  return list;
}

const std::vector<Word>& consonants() {
  static const std::vector<Word> list = {
      {"z", .110}, {"m", .100}, {"b", .090}, {"r", .082}, {"t", .075}, {"k", .070}, {"l", .064},
      {"p", .058}, {"d", .052}, {"n", .047}, {"g", .042}, {"s", .037}, {"f", .033}, {"v", .029},
      {"h", .025}, {"j", .022}, {"w", .019}, {"c", .016}, {"y", .013}, {"x", .009}, {"q", .007}};
  return list;
}
const std::vector<Word>& vowels() {
  static const std::vector<Word> list = {{"o", .34}, {"a", .26}, {"u", .18}, {"i", .13}, {"e", .09}};
  return list;
}

const Tokenizer& fable_tokenizer() {
  static const Tokenizer tokenizer = [] {
    std::vector<std::string> words;
    std::set<std::string_view> seen;
    const auto add = [&](std::string_view word) {
      if (word != kSound && seen.insert(word).second) words.emplace_back(word);
    };
    for (std::string_view word : {"the", "a", "named", "end", "over", "with", "of", "for", "up"}) add(word);
    for (const Animal& animal : animals()) add(animal.noun);
    for (const Adjective& adjective : adjectives()) add(adjective.text);
    for (const Verb& verb : verbs()) add(verb.word);
    for (const Animal& animal : animals()) add(animal.sound);
    for (const Place& place : places()) add(place.noun);
    for (const auto* list : {&colours(), &place_adjectives(), &words_to(), &words_in(), &foods(), &drinks(),
                             &adverbs(true), &adverbs(false), &connectives()})
      for (const Word& word : *list) add(word.text);
    return Tokenizer::from_words(words, "abcdefghijklmnopqrstuvwxyz0123456789-'", ".,");
  }();
  return tokenizer;
}

}  // namespace lastrow::train
