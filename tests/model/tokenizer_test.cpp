#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "model/tokenizer.h"

using namespace lastrow;

namespace {

Tokenizer small() {
  return Tokenizer::from_words({"the", "a", "fox", "sleeps"}, "abcdefghijklmnopqrstuvwxyz0123456789-'", ".,");
}

std::vector<std::string> pieces(const Tokenizer& tok, const std::string& text) {
  std::vector<std::string> shown;
  for (int32_t id : tok.encode(text)) shown.push_back(tok.piece(id));
  return shown;
}

/// The message of the error that encode() throws.
std::string complaint(const Tokenizer& tok, const std::string& text) {
  try {
    (void)tok.encode(text);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("words are tokens, other words are spelt") {
  const Tokenizer tok = small();
  CHECK(tok.vocab_size() == 2 + 4 + 2 * 38);
  CHECK(tok.encode("the fox") == std::vector<int32_t>{2, 4});
  CHECK(pieces(tok, "the fox sleeps.") == Strings{"the", "fox", "sleeps", "."});
  CHECK(pieces(tok, "a fox's owl") == Strings{"a", "f", "+o", "+x", "+'", "+s", "o", "+w", "+l"});
  CHECK(tok.decode(tok.encode("the foxes, a fox.")) == "the foxes, a fox.");
  CHECK(tok.id_of("fox") == 4);
  CHECK(tok.id_of("owl") == -1);
  CHECK(tok.piece(tok.id_of('o', true)) == "+o");
  CHECK(tok.id_of('!', false) == -1);
  CHECK_FALSE(tok.is_numbered());
}

TEST_CASE("capitals, white space and the space round a mark are normalised") {
  const Tokenizer tok = small();
  CHECK(tok.normalise("  The\tFOX \n sleeps .The fox ,a") == "the fox sleeps. the fox, a");
  CHECK(tok.encode("The FOX") == tok.encode("the fox"));
  CHECK(tok.normalise("...") == "...");
  CHECK(tok.normalise("x.5") == "x. 5");
}

TEST_CASE("decode(encode(x)) is the normalised x") {
  const Tokenizer tok = small();
  const std::string alphabet = "abcxyzTHEFOX059-'.,  \t\n";
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Random random(seed);
    std::string text = seed % 3 == 0 ? "the fox" : "f";
    for (int64_t n = random.below(40); n > 0; --n) {
      if (random.below(8) == 0) text += " fox";
      text += alphabet[static_cast<size_t>(random.below(static_cast<int64_t>(alphabet.size())))];
    }
    const std::string once = tok.normalise(text);
    CAPTURE(text);
    CHECK(tok.normalise(once) == once);
    CHECK(tok.encode(once) == tok.encode(text));
    for (char c : once) CHECK((c == ' ' || contains("abcdefghijklmnopqrstuvwxyz0123456789-'.,", {c})));
    CHECK_FALSE(contains(once, "  "));
  }
}

TEST_CASE("a token joins the one before it exactly if decode puts no space between") {
  const Tokenizer tok = small();
  for (int32_t id = 0; id < tok.vocab_size(); ++id) {
    const std::vector<int32_t> pair = {tok.id_of("fox"), id};
    CHECK(contains(tok.decode(pair), " ") != tok.joins_left(id));
  }
}

TEST_CASE("the error for an unknown character names it, its column and what is accepted") {
  const Tokenizer tok = small();
  CHECK(contains(complaint(tok, "the fox!"), "'!' in column 8"));
  CHECK(contains(complaint(tok, "the fox!"), "letters a to z, digits, - ' . ,"));
  CHECK(contains(complaint(tok, "le renárd"), "'á' in column 7"));
  CHECK(contains(complaint(tok, "é 狐"), "'é' in column 1"));
  CHECK(contains(complaint(small(), "a 狐"), "'狐' in column 3"));
  CHECK(contains(complaint(tok, "a \x01"), "byte 0x01 in column 3"));
  CHECK(contains(complaint(tok, std::string("a\0b", 3)), "byte 0x00 in column 2"));
  CHECK(contains(complaint(tok, "a\xff\xfe"), "byte 0xff in column 2"));
  CHECK(contains(complaint(tok, "a\xc3"), "byte 0xc3 in column 2"));
}

TEST_CASE("a text without a word is refused") {
  CHECK(contains(complaint(small(), ""), "empty"));
  CHECK(contains(complaint(small(), " \n\t "), "empty"));
  CHECK(contains(complaint(Tokenizer::numbered(4), " "), "empty"));
}

TEST_CASE("ids outside the vocabulary are refused") {
  const Tokenizer tok = small();
  CHECK_THROWS_AS((void)tok.piece(-1), UsageError);
  CHECK_THROWS_AS((void)tok.piece(tok.vocab_size()), UsageError);
  CHECK_THROWS_AS((void)tok.decode(std::vector<int32_t>{0, tok.vocab_size()}), UsageError);
  CHECK(tok.decode({}) == "");
}

TEST_CASE("a numbered tokenizer reads its own numbers and hashes the rest") {
  const Tokenizer tok = Tokenizer::numbered(50);
  CHECK(tok.is_numbered());
  CHECK(tok.vocab_size() == 50);
  CHECK(tok.encode("t0 t49 T7") == std::vector<int32_t>{0, 49, 7});
  CHECK(tok.decode(std::vector<int32_t>{12, 3}) == "t12 t3");
  const std::vector<int32_t> ids = tok.encode("The quick brown fox, é!");
  CHECK(ids.size() == 5);
  CHECK(ids == tok.encode("the  quick brown FOX, é!"));
  for (int32_t id : ids) CHECK((id >= 0 && id < 50));
  CHECK(contains(complaint(tok, "t3 t50"), "token t50 in column 4"));
  CHECK(contains(complaint(tok, "t99999999999999999999"), "outside the vocabulary"));
  CHECK(tok.encode("t-3").size() == 1);  // not a number, so it is hashed
  CHECK(tok.encode("t").size() == 1);
  CHECK(tok.encode("t3x").size() == 1);
}

TEST_CASE("a tokenizer stays the same through JSON") {
  const Tokenizer words = Tokenizer::from_json(small().to_json());
  CHECK(words.to_json() == small().to_json());
  CHECK(words.encode("the owl sleeps.") == small().encode("the owl sleeps."));
  const Tokenizer numbered = Tokenizer::from_json(Tokenizer::numbered(9).to_json());
  CHECK(numbered.is_numbered());
  CHECK(numbered.vocab_size() == 9);
}

TEST_CASE("damaged tokenizers are refused") {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"kind":"bytes"})", R"({"kind":"numbered"})",
        R"({"kind":"numbered","vocab_size":0})", R"({"kind":"numbered","vocab_size":2000000000})",
        R"({"kind":"numbered","vocab_size":"x"})", R"({"kind":"words","words":["a"],"characters":"a"})",
        R"({"kind":"words","words":["a","a"],"characters":"a","punctuation":""})",
        R"({"kind":"words","words":["b"],"characters":"a","punctuation":""})",
        R"({"kind":"words","words":[""],"characters":"a","punctuation":""})",
        R"({"kind":"words","words":[],"characters":"aa","punctuation":""})",
        R"({"kind":"words","words":[],"characters":"a","punctuation":"a"})",
        R"({"kind":"words","words":[],"characters":"A","punctuation":""})",
        R"({"kind":"words","words":[],"characters":"é","punctuation":""})",
        R"({"kind":"words","words":[],"characters":"","punctuation":""})",
        R"({"kind":"words","words":{"a":1},"characters":"a","punctuation":""})"}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)Tokenizer::from_json(text), FileError);
  }
  const auto refused = [](const char* text, const char* message) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS((void)Tokenizer::from_json(text), message, FileError);
  };
  refused("[]", "tokenizer: field 'kind' is missing");
  refused(R"({"kind":7})", "tokenizer: field 'kind' should be text");
  refused(R"({"kind":"numbered","vocab_size":-1})",
          "tokenizer: field 'vocab_size' should be a number up to 1000000");
  refused(R"({"kind":"numbered","vocab_size":1.5})",
          "tokenizer: field 'vocab_size' should be a number up to 1000000");
  refused(R"({"kind":"words","words":["a",1],"characters":"a","punctuation":""})",
          "tokenizer: field 'words' should be a list of words");
  refused(R"({"kind":"words","words":["a"],"characters":"a"})", "tokenizer: field 'punctuation' is missing");
}
