// Playing scripts: what lines do, and how a script ends when a line is not possible.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/viewer/recording_host.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

constexpr const char* kOpen =
    "model random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=40,seed=3\n"
    "prompt \"a b c d\"\nstep 2\nlayer last\nhead 0\n";

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
  CHECK(b.inspector.hovered == Target{Mode::recompute, Part::k, 2, -1});
  REQUIRE(b.inspector.pinned);
  CHECK(b.inspector.pinned->target == Target{Mode::cached, Part::score, 4, 1});
  REQUIRE(host.rows.size() == 1);
  CHECK(host.rows[0].row == 1);
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
      {"say {d}\n", 2, "test:6: say {d}: {d} is the change that a poke made, but nothing is poked"},
      {"poke q p zero\n", 2, "test:6: poke q p zero: p has no meaning yet"},
      {"focus 5\n", 2, "test:6: focus 5: position 5 is not in the past"},
      {"restore q 1\n", 2, "test:6: restore q 1: this row is not poked"},
      {"expect identical both\n", 1, "test:6: expect identical both: does not hold: nothing is poked"},
      {"poke k 1 scramble\nexpect identical cached\n", 1,
       "test:7: expect identical cached: does not hold on the cached side: logits changed by"},
      {"poke q 1 scramble\nexpect changed cached\n", 1,
       "test:7: expect changed cached: does not hold on the cached side: logits are bit-identical"},
      {"poke q 1 scramble\nexpect token_changed both\n", 1,
       "test:7: expect token_changed both: does not hold on the cached side: the next token is “"},
      {"undo\n", 2, "test:6: undo: there is no poke or restore to undo"},
      {"redo\n", 2, "test:6: redo: there is nothing to redo"},
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

TEST_CASE("keys in a script do what they do in the window") {
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

TEST_CASE("a script sets temperature and seed, and types into the boxes") {
  Controller controller(any());
  RecordingHost host;
  const auto [code, error] = play(controller,
                                  "temperature 0.8\nseed 7\nstate a.json\n"
                                  "open prompt\ntype prompt a b c\ntype seed 9\nstate b.json\nkey Enter\n"
                                  "state c.json\nopen backends\nstate d.json\nkey Esc\nopen file\n"
                                  "type path /nowhere/\nstate e.json\n",
                                  host);
  CHECK_MESSAGE(code == 0, error);
  const auto state = [&](const char* name) { return nlohmann::json::parse(host.states[name]); };
  CHECK(state("a.json")["sampling"]["text"] == "temperature 0.8 · seed 7");
  CHECK(state("b.json")["prompt_box"]["text"] == "a b c");
  CHECK(state("b.json")["prompt"] == "a b");
  CHECK(state("c.json")["prompt"] == "a b c");
  CHECK(state("c.json")["sampling"]["text"] == "temperature 0.8 · seed 9");
  CHECK(state("d.json")["open_choices"] == "backends");
  CHECK(state("e.json")["file_box"]["path"] == "/nowhere/");
  CHECK(play(controller, "key Esc\ntype prompt a\n", host).second ==
        "test:2: type prompt a: the box for a prompt is not open");
}

TEST_CASE("keys of the window do nothing in a script; keys that scroll move the window of tokens") {
  Controller controller(any());
  RecordingHost host;
  const auto [code, error] =
      play(controller, "step 36\nkey F11\nkey Ctrl+S\nkey Ctrl+Home\nkey PgDn\nstate a.json\n", host);
  CHECK_MESSAGE(code == 0, error);
  CHECK(nlohmann::json::parse(host.states["a.json"])["panes"]["cached"]["window"]["first"] == 6);
}

TEST_CASE("a script undoes, redoes, opens the list of pokes, and says the next token before and after") {
  Controller controller;
  RecordingHost host;
  const auto [code, error] = play(controller,
                                  "prompt \"the quick brown dog\"\nstep 3\nlayer last\nhead default\n"
                                  "poke k 3 scramble\npoke v 1 zero\npokes open\nstate two.json\n"
                                  "undo\nexpect token_changed both\nsay {next} → {next_after}\nundo\n"
                                  "state none.json\nredo\npokes closed\nstate one.json\n",
                                  host);
  CHECK_MESSAGE(code == 0, error);
  CHECK(host.rows[0].view->sentence.text == "cat → dog");
  const auto state = [&](const char* name) { return nlohmann::json::parse(host.states[name])["poke_list"]; };
  CHECK(state("two.json")["entries"].size() == 2);
  CHECK(state("two.json")["open"] == true);
  CHECK(state("two.json")["comparison"]["sides"][0]["tokens"].size() >= 5);
  CHECK(state("none.json")["entries"].empty());
  CHECK(state("none.json")["redo"] == "Redo: poke of k[3]");
  CHECK(state("one.json")["entries"].size() == 1);
  CHECK(state("one.json")["open"] == false);
}

TEST_CASE("a place that the step does not have is refused") {
  for (const char* line : {"hover k 99", "hover weight 1 99", "ask poke q 99", "pin k 99"}) {
    CAPTURE(line);
    Controller controller(any());
    RecordingHost host;
    CHECK(play(controller, std::string(line) + "\n", host).first == 2);
  }
}
