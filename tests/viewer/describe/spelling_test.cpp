// How a typed text becomes tokens, and which words of the token strip are spelt in characters.
#include "viewer/view_model/describe/spelling.h"

#include <doctest/doctest.h>

#include "core/random.h"
#include "model/model.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

const Tokenizer kFewWords = Tokenizer::from_words({"the", "fox", "a"}, "abcdefghijklmnopqrstuvwxyz", ".,");

}  // namespace

TEST_CASE("a word of the vocabulary is one token, another word is spelt in characters") {
  const auto words = prompt_words(kFewWords, "The  zoo, fox");
  REQUIRE(words.size() == 3);
  REQUIRE(words[0].pieces.size() == 1);
  CHECK(words[0].pieces[0].tokens == std::vector<std::string>{"the"});
  CHECK_FALSE(words[0].pieces[0].spelt);
  REQUIRE(words[1].pieces.size() == 2);
  CHECK(words[1].pieces[0].tokens == std::vector<std::string>{"z", "+o", "+o"});
  CHECK(words[1].pieces[0].spelt);
  CHECK(words[1].pieces[0].caption == "spelt in characters: 3 tokens");
  CHECK(words[1].pieces[1].tokens == std::vector<std::string>{","});
  CHECK_FALSE(words[1].pieces[1].spelt);
}

TEST_CASE("what is not accepted is marked, and the words beside it keep their tokens") {
  const auto words = prompt_words(kFewWords, "fox § the 3");
  REQUIRE(words.size() == 4);
  CHECK(words[0].accepted);
  CHECK_FALSE(words[1].accepted);
  CHECK(words[1].text == "§");
  CHECK(words[1].pieces.empty());
  CHECK(words[2].accepted);
  CHECK_FALSE(words[3].accepted);
}

TEST_CASE("the tokens of the words are those of encode(), for any text over the alphabet") {
  const auto model = load_model("fable-mha");
  const Tokenizer& tokenizer = model->tokenizer();
  const std::string signs = "thefoxq .,z'";
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed, 1);
    std::string text = "a";
    for (int i = 0; i < 24; ++i)
      text += signs[static_cast<size_t>(random.uniform() * static_cast<double>(signs.size()))];
    CAPTURE(text);
    std::vector<std::string> expected, got;
    for (const int32_t id : tokenizer.encode(text)) expected.push_back(tokenizer.piece(id));
    for (const PromptWord& word : prompt_words(tokenizer, text))
      for (const PromptWord::Piece& piece : word.pieces)
        got.insert(got.end(), piece.tokens.begin(), piece.tokens.end());
    CHECK(got == expected);
  }
}

TEST_CASE("two spelt words side by side are two runs; a known word ends a run") {
  const auto runs = spelt_words(kFewWords, kFewWords.encode("the ox ox fox o."));
  REQUIRE(runs.size() == 3);
  CHECK(runs[0].first == 1);
  CHECK(runs[0].n_tokens == 2);
  CHECK(runs[0].text == "ox");
  CHECK(runs[1].first == 3);
  CHECK(runs[1].n_tokens == 2);
  CHECK(runs[2].first == 6);
  CHECK(runs[2].n_tokens == 1);
}

TEST_CASE("generated characters that continue nothing are a run of their own") {
  const std::vector<int32_t> ids = {kFewWords.id_of("the"), kFewWords.id_of('x', true),
                                    kFewWords.id_of('y', true)};
  const auto runs = spelt_words(kFewWords, ids);
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].first == 1);
  CHECK(runs[0].n_tokens == 2);
}

TEST_CASE("the vocabulary lists each word once, in alphabetical order, and no character or mark") {
  const auto groups = vocabulary(kFewWords);
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].initial == "a");
  CHECK(groups[0].words == std::vector<std::string>{"a"});
  CHECK(groups[2].words == std::vector<std::string>{"the"});
  CHECK(vocabulary_note(kFewWords).starts_with("3 words are one token each."));
}

TEST_CASE("a numbered vocabulary shows a few tokens and says why") {
  const Tokenizer numbered = Tokenizer::numbered(5000);
  const auto groups = vocabulary(numbered);
  REQUIRE(groups.size() == 1);
  CHECK(groups[0].words.size() < 50);
  CHECK(groups[0].words[1] == "t1");
  CHECK(vocabulary_note(numbered).find("t0 to t4999") != std::string::npos);
  CHECK(spelt_words(numbered, std::vector<int32_t>{1, 2, 3}).empty());
}
