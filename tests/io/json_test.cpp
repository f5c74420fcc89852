// JSON that can be checked by eye, then what parse_json refuses, with line and column.
#include <doctest/doctest.h>

#include "io/atomic_file.h"
#include "io/checked.h"
#include "io/json.h"
#include "tests/io/files.h"

using namespace lastrow;
using namespace lastrow::test;
using nlohmann::json;

TEST_CASE("JSON is read as written") {
  const json j =
      parse_json(R"({"n_layers": 4, "rope": {"theta": 1e4}, "heads": [8, -2], "tied": true, "no": null})",
                 "config.json");
  CHECK(j["n_layers"] == 4);
  CHECK(j["rope"]["theta"] == 10000.0);
  CHECK(j["heads"] == json::array({8, -2}));
  CHECK(j["tied"] == true);
  CHECK(j["no"].is_null());
}

TEST_CASE("the library's own parser agrees on nested values") {
  for (const char* text :
       {"[]", "{}", "0", "\"\"", "[[],[[]],{}]", R"({"a":{"a":[{"b":1},2,{"b":[]}],"c":"d"},"b":[[1]]})",
        "[1,-1,0.5,1e300,18446744073709551615,-9223372036854775808]", "  [ 1 , 2 ] \n",
        R"(["\u00e9\ud83d\ude00\n\"\\"])"})
    CHECK(parse_json(text, "t") == json::parse(text));
}

TEST_CASE("errors in JSON name line and column") {
  CHECK_FILE_ERROR(parse_json("{\n  \"a\": 1,\n  \"b\": oops\n}", "config.json"),
                   "config.json: line 3, column 8", "invalid literal");
  CHECK_FILE_ERROR(parse_json("", "t"), "t: line 1, column 1", "unexpected end of input");
  CHECK_FILE_ERROR(parse_json("[1,]", "t"), "t: line 1, column 4");
  CHECK_FILE_ERROR(parse_json("[1] []", "t"), "t: line 1, column 5");
  CHECK_FILE_ERROR(parse_json("[1e999]", "t"), "t: line 1", "overflow");
  CHECK_FILE_ERROR(parse_json("[NaN]", "t"), "t: line 1, column 2");
  CHECK_FILE_ERROR(parse_json("\"a\nb\"", "t"), "t: line", "control character");
  CHECK_FILE_ERROR(parse_json("[\"\xC3(\"]", "t"), "ill-formed UTF-8");
  CHECK_FILE_ERROR(parse_json("[\"\\ud800\"]", "t"), "surrogate");
  CHECK_FILE_ERROR(parse_json(std::string_view("[]\0[", 4), "t"), "t: line 1, column 3", "NUL");
  CHECK_FILE_ERROR(parse_json("{\"a\":1,\n\"a\":2}", "t"), "t: line 2", "\"a\" occurs twice");
}

TEST_CASE("limits hold exactly") {
  const std::string three = "[[[]]]";
  CHECK(parse_json(three, "t", {.max_depth = 3}).is_array());
  CHECK_FILE_ERROR(parse_json(three, "t", {.max_depth = 2}),
                   "t: line 1, column 3: objects and arrays nested more than 2 deep");
  CHECK(parse_json("[1,2]", "t", {.max_values = 3}).size() == 2);
  CHECK_FILE_ERROR(parse_json("[1,2]", "t", {.max_values = 2}), "more than 2 values");
  CHECK(parse_json("[1,2]", "t", {.max_bytes = 5}).size() == 2);
  CHECK_FILE_ERROR(parse_json("[1,2]", "t", {.max_bytes = 4}), "t: has 5 bytes of JSON", "at most 4");
  const std::string bomb(1'000'000, '[');
  CHECK_FILE_ERROR(parse_json(bomb, "bomb.json"),
                   "bomb.json: line 1, column 65: objects and arrays nested more than 64 deep");
}

TEST_CASE("JSON files") {
  TemporaryFolder folder;
  write_text_atomically(folder / "a.json", json{{"x", 1}}.dump());
  CHECK(read_json(folder / "a.json") == json{{"x", 1}});
  CHECK_FILE_ERROR(read_json(folder / "a.json", {.max_bytes = 6}), "a.json: has 7 bytes", "at most 6");
  CHECK_FILE_ERROR(read_json(folder / "b.json"), "b.json", "No such file");
}

TEST_CASE("escaped text moves no cursor and ends no line") {
  CHECK(escaped("the \"quick\" föx → 🦊 \\") == "the \"quick\" föx → 🦊 \\");
  CHECK(escaped("a\x1b[31m\n\r\t\x7f") == "a\\u001b[31m\\n\\r\\t\\u007f");
  CHECK(escaped(std::string_view("\0", 1)) == "\\u0000");
  CHECK(escaped("\u009b2J\u2028\u202e\u2066") == "\\u009b2J\\u2028\\u202e\\u2066");
  // Not UTF-8: a single byte, a cut sequence, an overlong sequence, a surrogate, a code beyond the last.
  for (const char* bytes :
       {"\x9b", "\xc3", "\xe2\x82", "\xc0\x9b", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"})
    CHECK(escaped(bytes).starts_with("\uFFFD"));
  CHECK(escaped(escaped("\x1b\n")) == escaped("\x1b\n"));
  CHECK(shown("\"\x1b\x7f\"") == R"("\"\u001b\u007f\"")");
}

TEST_CASE("text is valid UTF-8 up to the first byte that is not") {
  CHECK(valid_utf8("") == 0);
  CHECK(valid_utf8("föx → 🦊") == std::string_view("föx → 🦊").size());
  CHECK(valid_utf8("f\xf6x") == 1);            // Latin-1
  CHECK(valid_utf8("ab\xc3") == 2);            // cut short
  CHECK(valid_utf8("a\x80") == 1);             // a continuation byte alone
  CHECK(valid_utf8("\xc0\xaf") == 0);          // longer than needed
  CHECK(valid_utf8("\xed\xa0\x80") == 0);      // a surrogate
  CHECK(valid_utf8("\xfc\x80\x80\x80") == 0);  // no character begins with this byte
}
