#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "train/grammar.h"

using namespace lastrow;
using namespace lastrow::train;

namespace {

const Tokenizer& tok() { return fable_tokenizer(); }

Sample text(uint64_t seed, int n_tokens = 256) {
  Random random(seed, 77);
  return write(n_tokens, random);
}

/// The word at which the text stops being grammatical; "" if it never does.
std::string offence(const std::string& words) {
  const std::vector<int32_t> ids = tok().encode(words);
  const int64_t at = first_offence(ids);
  return at < 0 ? "" : tok().piece(ids[static_cast<size_t>(at)]);
}

/// −ln p of the whole text, token by token.
double nats(const std::vector<int32_t>& ids) {
  Story story;
  double sum = 0;
  for (int32_t id : ids) {
    for (const Choice& c : story.choices())
      if (c.token == id) sum -= std::log(c.probability);
    story.take(id);
  }
  return sum;
}

/// Every text of `n` tokens that begins with `story`, with its probability.
void enumerate(const Story& story, int n, double p, std::vector<int32_t>& prefix,
               std::map<std::vector<int32_t>, double>& out) {
  if (n == 0) {
    CHECK(out.emplace(prefix, p).second);  // no text has two derivations
    return;
  }
  for (const Choice& c : story.choices()) {
    Story next = story;
    next.take(c.token);
    prefix.push_back(c.token);
    enumerate(next, n - 1, p * c.probability, prefix, out);
    prefix.pop_back();
  }
}

}  // namespace

TEST_CASE("sentences a person can read are grammatical, and the first wrong word is found") {
  CHECK(offence("the quick brown fox jumps over the lazy dog. then the dog barks.") == "");
  CHECK(offence("the brown dog fights the black cat. the cat hides in the forest.") == "");
  CHECK(offence("a fox named zorbu runs to the river. zorbu sleeps. then zorbu wakes up. the end. the") ==
        "");
  CHECK(offence("zorbu the fox jumps over mila the cat. mila meows.") == "");
  CHECK(offence("the quick brown") == "");  // cut off anywhere
  CHECK(offence("the brown quick fox") == "quick");
  CHECK(offence("the fox over") == "over");
  CHECK(offence("the fox jumps over the fox") == "fox");                  // no animal jumps over itself
  CHECK(offence("the fox runs to the river. the fox wakes") == "wakes");  // it does not sleep
  CHECK(offence("the fox jumps over the dog. the dog meows") == "meows");
  CHECK(offence("the fox sleeps. the lazy fox") == "fox");  // known animals take no adjectives
  CHECK(offence("the fox hides in the river") == "river");
  CHECK(offence("a fox named zorbu sleeps. zorba") == "+a");
  CHECK(offence("a fox named zorbu sleeps. the fox") == "fox");         // it has a name
  CHECK(offence("the fox sleeps. the end. the fox wakes") == "wakes");  // a new story
}

TEST_CASE("after every prefix the probabilities are positive and sum to 1, each token once") {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Story story;
    for (int32_t id : text(seed).tokens) {
      double sum = 0;
      std::set<int32_t> seen;
      for (const Choice& c : story.choices()) {
        CHECK(c.probability > 0);
        CHECK(seen.insert(c.token).second);
        sum += c.probability;
      }
      REQUIRE(sum == doctest::Approx(1).epsilon(1e-12));
      story.take(id);
    }
  }
}

TEST_CASE("the probabilities of all texts of a few tokens sum to 1, and none has two derivations") {
  std::map<std::vector<int32_t>, double> texts;
  std::vector<int32_t> prefix;
  enumerate(Story(), 3, 1.0, prefix, texts);
  double sum = 0;
  for (const auto& [ids, p] : texts) {
    sum += p;
    REQUIRE(nats(ids) == doctest::Approx(-std::log(p)).epsilon(1e-12));
  }
  CHECK(texts.size() > 1000);
  CHECK(sum == doctest::Approx(1).epsilon(1e-12));
}

TEST_CASE("the floor is the mean over all tokens but the first, added up one by one") {
  const Sample s = text(5, 40);
  const std::vector<int32_t> first(s.tokens.begin(), s.tokens.begin() + 1);
  CHECK(s.floor() == doctest::Approx((nats(s.tokens) - nats(first)) / 39).epsilon(1e-12));
}

TEST_CASE("the floor is the entropy: sampled and exact agree") {
  // Exact entropy of the third token given the first two, by summing over all texts of three tokens, against
  // the mean cost in samples. The standard error of the mean of 40,000 costs of deviation < 2 nats is 0.01.
  std::map<std::vector<int32_t>, double> texts;
  std::vector<int32_t> prefix;
  enumerate(Story(), 3, 1.0, prefix, texts);
  double entropy = 0, sampled = 0;
  constexpr int kSamples = 40'000;
  for (const auto& [ids, p] : texts)
    entropy += p * (nats(ids) - nats(std::vector<int32_t>(ids.begin(), ids.begin() + 2)));
  for (int i = 0; i < kSamples; ++i) sampled += text(static_cast<uint64_t>(i), 3).nats[2] / kSamples;
  CHECK(std::abs(entropy - sampled) < 0.04);  // four standard errors
}

TEST_CASE("what the generator writes parses, and comes back from text") {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Sample s = text(seed);
    CHECK(s.tokens.size() == 256);
    CHECK(first_offence(s.tokens) == -1);
    // The beginning of a name that is cut off may read as a word.
    for (; s.animals.back() >= 0; s.animals.pop_back()) s.tokens.pop_back();
    CHECK(tok().encode(tok().decode(s.tokens)) == s.tokens);
  }
}

TEST_CASE("a token replaced by one that cannot stand there is found at its place") {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Sample s = text(seed, 120);
    Random random(seed);
    const auto at = static_cast<size_t>(random.below(120));
    Story story;
    for (size_t i = 0; i < at; ++i) story.take(s.tokens[i]);
    const Choices allowed = story.choices();
    int32_t wrong = 0;
    do wrong = static_cast<int32_t>(random.below(tok().vocab_size()));
    while (std::any_of(allowed.begin(), allowed.end(), [&](const Choice& c) { return c.token == wrong; }));
    s.tokens[at] = wrong;
    CHECK(first_offence(s.tokens) == static_cast<int64_t>(at));
  }
}

TEST_CASE("mentions: the first introduces, later ones are marked and spell the same name") {
  std::map<int, std::string> names;
  int later_letters = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Sample s = text(seed);
    std::map<int, std::vector<std::string>> mentions;  // by animal, each as text
    for (size_t i = 0; i < s.tokens.size(); ++i) {
      if (s.animals[i] < 0) continue;
      const bool begins = i == 0 || s.animals[i - 1] != s.animals[i];
      auto& list = mentions[s.animals[i]];
      if (begins) {
        CHECK((list.empty() ? !s.again[i] : true));
        list.emplace_back();
      }
      list.back() += tok().piece(s.tokens[i]);
      later_letters += s.again[i] && tok().joins_left(s.tokens[i]);
    }
    if (s.animals.back() >= 0) mentions[s.animals.back()].pop_back();  // it may be cut off
    for (const auto& [animal, list] : mentions)
      for (size_t i = 2; i + 1 < list.size(); ++i) CHECK(list[i] == list[i + 1]);
  }
  CHECK(later_letters > 500);
}

TEST_CASE("the best token is clear almost everywhere, so that greedy text does not depend on rounding") {
  int ties = 0, n = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Story story;
    for (int32_t id : text(seed).tokens) {
      Choices c = story.choices();
      std::sort(c.begin(), c.end(),
                [](const Choice& x, const Choice& y) { return x.probability > y.probability; });
      ties += c.size() > 1 && c[0].probability < 1.02 * c[1].probability;
      ++n;
      story.take(id);
    }
  }
  CHECK(ties * 100 < n);  // below 1 %
}

TEST_CASE("the prompts of a first lecture are likely enough") {
  for (const char* prompt : {"the quick brown fox", "the brown dog fights the black"}) {
    CAPTURE(prompt);
    CHECK(tok().encode(prompt).size() == (std::string(prompt).size() > 20 ? 6 : 4));
    CHECK(std::exp(-nats(tok().encode(prompt))) > 1e-5);
  }
  CHECK(tok().vocab_size() <= 320);
}
