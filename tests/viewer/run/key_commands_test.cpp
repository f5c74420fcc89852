// Every key does something that can be seen, or says why not.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/viewer/recording_host.h"
#include "viewer/view_model/state/key_bindings.h"

using namespace lastrow;
using namespace lastrow::view;
using nlohmann::json;

namespace {

/// The names of the fields of the state that differ.
std::set<std::string> changed(const json& before, const json& after) {
  std::set<std::string> names;
  for (const auto& [name, value] : after.items())
    if (!before.contains(name) || before[name] != value) names.insert(name);
  return names;
}

json state_of(Controller& controller) { return json::parse(to_json(*controller.settle())); }

}  // namespace

TEST_CASE("every key changes what its tooltip names") {
  // The field of the state that shows it. Keys that are not listed are the window's own.
  const std::map<std::string, std::string> shows = {
      {"Play", "playing"},         {"Next beat", "beat"},      {"Previous beat", "beat"},
      {"Next step", "step"},       {"Previous step", "step"},  {"Prefill", "step"},
      {"Last step", "step"},       {"Layer below", "layer"},   {"Layer above", "layer"},
      {"Previous head", "head"},   {"Next head", "head"},      {"Next model", "model"},
      {"Next backend", "backend"}, {"Prompt", "prompt_open"},  {"Open", "file_box"},
      {"Poke", "poke_menu"},       {"Restore", "pokes"},       {"Copy", "clipboard"},
      {"Theme", "theme"},          {"Tour", "tour"},           {"Explore", "inspector"},
      {"Help", "help_open"},       {"Scroll", "panes"},        {"Scroll pages", "panes"},
      {"Oldest, newest", "panes"}, {"Lecture mode", "lecture"}};
  for (const KeyBinding& key : key_table()) {
    const auto* command = std::get_if<Command>(&key.command);
    if (command == nullptr) continue;  // the window's own: screenshot, full screen
    CAPTURE(key.key_text());
    CAPTURE(std::string(key.label));
    // A step in the middle, with a poke, a pin, and a place to go to in every direction.
    Controller controller;
    controller.settle();
    controller.send(GoToStep{3, false});
    controller.send(SetLayer{1});
    controller.settle();
    controller.send(SetHead{3});
    controller.send(GoToBeat{Beat::score});
    controller.send(PokeRow{Part::k, 2});
    controller.send(Pin{Target{Mode::cached, Part::k, 2, -1}});
    controller.send(SetRoom{4});
    controller.send(ScrollTo{1});
    const json before = state_of(controller);
    controller.send(*command);
    if (std::string(key.label) == "Play") {
      CHECK(controller.frame(1).view->transport.playing);
      continue;
    }
    const json after = state_of(controller);
    const auto field = shows.find(key.label);
    if (field == shows.end()) {  // a key added later: anything that can be seen
      CHECK((!changed(before, after).empty()));
      continue;
    }
    CHECK_MESSAGE(changed(before, after).contains(field->second), field->second << " has not changed");
  }
}

TEST_CASE("a key that has nothing to do says why") {
  ControllerOptions o;
  o.model = "random:layers=1,q_heads=1,kv_heads=1,head_dim=8,vocab=64,context=4,seed=3";
  o.prompt = "a b c d";
  o.step = 0;
  o.offer_tour = false;
  const std::set<std::string> may_be_silent = {"Layer below", "Previous head", "Restore", "Prefill",
                                               "Last step",   "Explore",       "Play"};
  for (const KeyBinding& key : key_table()) {
    const auto* command = std::get_if<Command>(&key.command);
    if (command == nullptr) continue;
    CAPTURE(std::string(key.label));
    Controller controller(o);
    controller.settle();
    controller.send(GoToBeat{Beat::start});
    const bool forward =
        std::holds_alternative<ChangeBeat>(*command) && std::get<ChangeBeat>(*command).by > 0;
    if (forward) controller.send(GoToBeat{Beat::keep});
    const json before = state_of(controller);
    controller.send(*command);
    const json after = state_of(controller);
    if (may_be_silent.contains(key.label)) continue;  // it is there already
    const auto fields = changed(before, after);
    CHECK_MESSAGE(!fields.empty(), "nothing has changed, and no notice says why");
  }
}
