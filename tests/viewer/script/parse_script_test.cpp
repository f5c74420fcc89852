// What the parser of scripts says about wrong lines, and about files that are not scripts.
#include "viewer/view_model/script/parse_script.h"

#include <doctest/doctest.h>

#include "viewer/view_model/script/tour.h"
#include "viewer/view_model/state/key_bindings.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

std::string error_of(const std::string& text) {
  try {
    parse_script(text, "t.txt");
  } catch (const ScriptError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every wrong line gives its number and what was expected") {
  const std::pair<const char*, const char*> wrong[] = {
      {"dance", "t.txt:1: expected one of model prompt"},
      {"model", "t.txt:1: expected the name of a model, got the end of the line"},
      {"step two", "t.txt:1: expected step N, +1, -1, first or last, got “two”"},
      {"step -x", "t.txt:1: expected step N"},
      {"step 99999999999999", "t.txt:1: expected step N"},
      {"step 1 2", "t.txt:1: expected the end of the line, got “2”"},
      {"layer -1", "t.txt:1: expected a layer"},
      {"head first", "t.txt:1: expected a head"},
      {"sub attend", "t.txt:1: expected one of start project"},
      {"poke w 3 scramble", "t.txt:1: expected q, k or v, got “w 3 scramble”"},
      {"poke q three scramble", "t.txt:1: expected a position"},
      {"poke q 3 shake", "t.txt:1: expected scramble or zero, got “shake”"},
      {"poke q 3 zero later", "t.txt:1: expected now, since or the end of the line"},
      {"restore", "t.txt:1: expected all, or q|k|v and a position"},
      {"say", "t.txt:1: expected a sentence"},
      {"prompt \"open", "t.txt:1: expected a text with a closing quote"},
      {"pokes shut", "t.txt:1: expected open or closed, got “shut”"},
      {"undo 3", "t.txt:1: expected the end of the line, got “3”"},
      {"expect token_changed", "t.txt:1: expected cached, recompute or both, got the end of the line"},
      {"wait", "t.txt:1: expected poke SECONDS or SECONDS"},
      {"wait poke -3", "t.txt:1: expected poke SECONDS or SECONDS"},
      {"wait 1e9", "t.txt:1: expected poke SECONDS or SECONDS"},
      {"wait nan", "t.txt:1: expected poke SECONDS or SECONDS"},
      {"expect joy", "t.txt:1: expected same_token, identical, changed or token_changed"},
      {"expect identical left", "t.txt:1: expected cached, recompute or both"},
      {"theme blue", "t.txt:1: expected light or dark"},
      {"size 10x10", "t.txt:1: expected a size such as 1440x900"},
      {"size 1440", "t.txt:1: expected a size"},
      {"shot a.jpg", "t.txt:1: expected a file name ending in .png"},
      {"shot ../a.png", "t.txt:1: expected a file name ending in .png, without a folder"},
      {"state .json", "t.txt:1: expected a file name ending in .json"},
      {"hover", "t.txt:1: expected none, or"},
      {"hover k", "t.txt:1: expected a position"},
      {"tab memory", "t.txt:1: expected cost or none, got “memory”"},
      {"tab cost now", "t.txt:1: expected the end of the line"},
      {"cost", "t.txt:1: expected flop, bytes, time, linear, log or hover, got the end of the line"},
      {"cost money", "t.txt:1: expected flop, bytes, time, linear, log or hover, got “money”"},
      {"cost hover last", "t.txt:1: expected none or a step"},
      {"key F99", "t.txt:1: expected a key as the help spells it"},
      {"menu score 1", "t.txt:1: expected q, k or v"},
  };
  for (const auto& [line, expected] : wrong) {
    CAPTURE(line);
    CHECK_MESSAGE(error_of(line).starts_with(expected), error_of(line));
  }
  CHECK(error_of("sub score\n\n# fine\nsub scores\n").starts_with("t.txt:4: expected"));
}

TEST_CASE("a script can press every key of the help") {
  for (const KeyBinding& key : key_table()) CHECK(error_of("key " + key.key_text()) == "");
}

TEST_CASE("the tour is there whatever the working directory, and a missing script is said") {
  CHECK(tour_script().n_rows == 12);
  CHECK_THROWS_AS(load_script("/nowhere/tour.txt"), FileError);
  CHECK_THROWS_AS(load_script("/"), FileError);
  CHECK_THROWS_AS(load_script("/dev/zero"), FileError);
}
