// JSON by eye, then what parse_json refuses, with line and column.
#include <doctest/doctest.h>

#include "io/atomic_file.h"
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

TEST_CASE("bad JSON is placed by line and column") {
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
  CHECK_FILE_ERROR(parse_json(three, "t", {.max_depth = 2}), "t: line 1, column 3: nested more than 2 deep");
  CHECK(parse_json("[1,2]", "t", {.max_values = 3}).size() == 2);
  CHECK_FILE_ERROR(parse_json("[1,2]", "t", {.max_values = 2}), "more than 2 values");
  CHECK(parse_json("[1,2]", "t", {.max_bytes = 5}).size() == 2);
  CHECK_FILE_ERROR(parse_json("[1,2]", "t", {.max_bytes = 4}), "t: 5 bytes of JSON", "at most 4");
  const std::string bomb(1'000'000, '[');
  CHECK_FILE_ERROR(parse_json(bomb, "bomb.json"), "bomb.json: line 1, column 65: nested more than 64 deep");
}

TEST_CASE("JSON files") {
  TemporaryFolder folder;
  write_text_atomically(folder / "a.json", json{{"x", 1}}.dump());
  CHECK(read_json(folder / "a.json") == json{{"x", 1}});
  CHECK_FILE_ERROR(read_json(folder / "a.json", {.max_bytes = 6}), "a.json: 7 bytes", "at most 6");
  CHECK_FILE_ERROR(read_json(folder / "b.json"), "b.json", "No such file");
}
