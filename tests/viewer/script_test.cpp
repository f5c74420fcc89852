// The script language: what it does, and what it says about wrong lines.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/viewer/recording_host.h"
#include "viewer/view_model/keys.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

constexpr const char* kOpen =
    "model random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=40,seed=3\n"
    "prompt \"a b c d\"\nstep 2\nlayer last\nhead 0\n";

std::string error_of(const std::string& text) {
  try {
    parse_script(text, "t.txt");
  } catch (const ScriptError& e) {
    return e.what();
  }
  return "";
}

ControllerOptions any() {
  ControllerOptions o;
  o.model = "random:layers=2,q_heads=2,kv_heads=2,head_dim=8,vocab=64,context=40,seed=3";
  o.prompt = "a b";
  o.step = 0;
  return o;
}

}  // namespace

TEST_CASE("a script moves the viewer and writes what it is asked for") {
  Controller controller(any());
  RecordingHost host;
  const auto [code, error] = play(controller,
                                  std::string(kOpen) +
                                      "# a comment, and an empty line\n\n"
                                      "sub score\n"
                                      "theme dark\n"
                                      "size 1024x700\n"
                                      "state a.json\n"
                                      "step +1\nsub keep\n"
                                      "say {n} tokens, {n-1} before; word 0 is {w0}\n"
                                      "hover recompute k 2\n"
                                      "pin score 4 1\n"
                                      "shot b.png\n",
                                  host);
  CHECK_MESSAGE(code == 0, error);
  REQUIRE(host.states.contains("a.json"));
  const auto a = nlohmann::json::parse(host.states["a.json"]);
  CHECK(a["step"] == 2);
  CHECK(a["beat"] == "score");
  CHECK(a["theme"] == "dark");
  CHECK(host.width == 1024);
  CHECK(host.height == 700);
  REQUIRE(host.shots.contains("b.png"));
  const ViewState& b = host.shots["b.png"];
  CHECK(b.transport.step == 3);
  CHECK(b.sentence.text == "7 tokens, 6 before; word 0 is " + b.tokens[0].text);
  CHECK(b.inspector.hovered == Target{Side::recompute, Part::k, 2, -1});
  REQUIRE(b.inspector.pinned);
  CHECK(b.inspector.pinned->target == Target{Side::cached, Part::score, 4, 1});
  REQUIRE(host.rows.size() == 1);
  CHECK(host.rows[0].row == 1);
}

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
      {"wait", "t.txt:1: expected poke SECONDS or SECONDS"},
      {"wait poke -3", "t.txt:1: expected poke SECONDS or SECONDS"},
      {"wait 1e9", "t.txt:1: expected poke SECONDS or SECONDS"},
      {"wait nan", "t.txt:1: expected poke SECONDS or SECONDS"},
      {"expect joy", "t.txt:1: expected same_token, identical or changed"},
      {"expect identical left", "t.txt:1: expected cached, recompute or both"},
      {"theme blue", "t.txt:1: expected light or dark"},
      {"size 10x10", "t.txt:1: expected a size such as 1440x900"},
      {"size 1440", "t.txt:1: expected a size"},
      {"shot a.jpg", "t.txt:1: expected a file name ending in .png"},
      {"shot ../a.png", "t.txt:1: expected a file name ending in .png, without a folder"},
      {"state .json", "t.txt:1: expected a file name ending in .json"},
      {"hover", "t.txt:1: expected none, or"},
      {"hover k", "t.txt:1: expected a position"},
      {"key F99", "t.txt:1: expected a key as the help spells it"},
      {"menu score 1", "t.txt:1: expected q, k or v"},
  };
  for (const auto& [line, expected] : wrong) {
    CAPTURE(line);
    CHECK_MESSAGE(error_of(line).starts_with(expected), error_of(line));
  }
  CHECK(error_of("sub score\n\n# fine\nsub scores\n").starts_with("t.txt:4: expected"));
}

TEST_CASE("a script that cannot be carried out ends with 2, a failed expect with 1; both name the line") {
  const std::tuple<const char*, int, const char*> ends[] = {
      {"layer 7\n", 2, "test:6: layer 7: there is no layer 7"},
      {"head 4\n", 2, "test:6: head 4: there is no head 4"},
      {"poke k 6 zero\n", 2, "test:6: poke k 6 zero: there is no position 6"},
      {"backend abacus\nsay on\n", 2, "test:6: backend abacus: unknown backend"},
      {"model nope\n", 2, "test:6: model nope: "},
      {"prompt \"\"\n", 2, "test:6: prompt \"\": "},
      {"step 99\n", 2, "test:6: step 99: the context of 40 tokens is full"},
      {"say {nonsense}\n", 2, "test:6: say {nonsense}: expected one of {n}"},
      {"say {w9}\n", 2, "test:6: say {w9}: there is no position 9"},
      {"say {d}\n", 2, "test:6: say {d}: {d} is the change of a poke, and nothing is poked"},
      {"poke q p zero\n", 2, "test:6: poke q p zero: p stands for nothing yet"},
      {"focus 5\n", 2, "test:6: focus 5: position 5 is not past"},
      {"restore q 1\n", 2, "test:6: restore q 1: this row is not poked"},
      {"expect identical both\n", 1, "test:6: expect identical both: does not hold: nothing is poked"},
      {"poke k 1 scramble\nexpect identical cached\n", 1,
       "test:7: expect identical cached: does not hold on the cached side: logits changed by"},
      {"poke q 1 scramble\nexpect changed cached\n", 1,
       "test:7: expect changed cached: does not hold on the cached side: logits are bit-identical"},
      {"layer 1\npoke q 1 scramble\nexpect identical both\n", 1,
       "test:8: expect identical both: does not hold on the recompute side"},
  };
  for (const auto& [lines, code, message] : ends) {
    CAPTURE(lines);
    Controller controller(any());
    RecordingHost host;
    const auto [got, error] = play(controller, std::string(kOpen) + lines, host);
    CHECK(got == code);
    CHECK_MESSAGE(error.starts_with(message), error);
    CHECK(error.find('\n') == std::string::npos);
  }
}

TEST_CASE("a host that cannot write ends the script with its line") {
  struct Full : RecordingHost {
    void shot(const std::string& name, const ViewState&) override {
      throw FileError("{} cannot be written: the disk is full", name);
    }
  } host;
  Controller controller(any());
  const auto [code, error] = play(controller, "shot a.png\n", host);
  CHECK(code == 2);
  CHECK(error == "test:1: shot a.png: a.png cannot be written: the disk is full");
}

TEST_CASE("the tour is there whatever the working directory, and a missing script is said") {
  CHECK(tour_script().n_rows == 12);
  CHECK_THROWS_AS(load_script("/nowhere/tour.txt"), FileError);
  CHECK_THROWS_AS(load_script("/"), FileError);
  CHECK_THROWS_AS(load_script("/dev/zero"), FileError);
}

TEST_CASE("every key has one meaning, a label, a tooltip, and a script can press it") {
  std::vector<std::string> seen;
  for (const KeyBinding& key : key_table()) {
    CHECK(std::string(key.label) != "");
    CHECK(std::string(key.tooltip).ends_with("."));
    CHECK(std::find(seen.begin(), seen.end(), key.key_text) == seen.end());
    seen.push_back(key.key_text);
    CHECK(error_of(std::string("key ") + key.key_text) == "");
  }
  Controller controller(any());
  RecordingHost host;
  const auto [code, error] =
      play(controller, std::string(kOpen) + "key [\nkey .\nkey T\nkey Shift+→\nstate a.json\n", host);
  CHECK_MESSAGE(code == 0, error);
  const auto a = nlohmann::json::parse(host.states["a.json"]);
  CHECK(a["layer"] == 1);
  CHECK(a["head"] == 1);
  CHECK(a["theme"] == "dark");
  CHECK(a["step"] == 3);
}
