// The list of pokes: what is active where, undo and redo, and before → after.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/viewer/recording_host.h"
#include "viewer/view_model/describe/text.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

ControllerOptions dog() {
  ControllerOptions o;
  o.prompt = "the quick brown dog";
  o.step = 3;
  return o;
}

std::vector<std::string> texts(const ViewState& view) {
  std::vector<std::string> out;
  for (const PokeEntry& e : view.pokes.entries) out.push_back(e.text);
  return out;
}

constexpr auto kScramble = Poke::Action::scramble;
constexpr auto kNow = Poke::When::now, kSince = Poke::When::since;

}  // namespace

TEST_CASE("the list names each poke; one of now waits in the list while its step is not shown") {
  Controller controller(dog());
  auto view = controller.settle();
  CHECK(view->pokes.button == "");
  controller.send(PokeRow{Part::k, 3, kScramble, kNow});
  controller.settle();
  controller.send(PokeRow{Part::v, 0, Poke::Action::zero, kSince});
  view = controller.settle();
  CHECK(view->pokes.button == "2 pokes");
  CHECK(texts(*view) ==
        std::vector<std::string>{"k[3] “dog” scrambled · layer 3 · K/V head 0 · now: in decode 3 only",
                                 "v[0] “the” zeroed · layer 3 · K/V head 0 · since its own step"});
  CHECK(view->pokes.entries[0].in_force);
  CHECK(view->n_pokes == 2);

  controller.send(ChangeStep{+1});
  view = controller.settle();
  CHECK(view->n_pokes == 1);
  REQUIRE(view->pokes.entries.size() == 2);
  CHECK_FALSE(view->pokes.entries[0].in_force);
  CHECK(view->pokes.entries[0].why_not == "not active here: it belongs to decode 3");
  CHECK(view->pokes.entries[1].in_force);

  controller.send(ChangeStep{-1});
  view = controller.settle();
  CHECK(view->n_pokes == 2);
  CHECK(view->pokes.entries[0].in_force);
  CHECK(view->panes[0].k.rows[3].poked);
}

TEST_CASE("a poke since its own step comes back with its position") {
  Controller controller(dog());
  controller.settle();
  controller.send(PokeRow{Part::k, 6, kScramble, kSince});
  controller.settle();
  controller.send(GoToStep{1, false});
  auto view = controller.settle();
  CHECK(view->n_pokes == 0);
  CHECK(view->pokes.entries[0].why_not == "not active here: decode 3 is the first step with position 6");
  controller.send(GoToStep{4, false});
  CHECK(controller.settle()->n_pokes == 1);
}

TEST_CASE("one row can have a poke of now in each of two steps; in one step the later one replaces it") {
  Controller controller(dog());
  controller.settle();
  controller.send(PokeRow{Part::k, 3, kScramble, kNow});
  controller.settle();
  controller.send(PokeRow{Part::k, 3, Poke::Action::zero, kNow});
  CHECK(texts(*controller.settle()).size() == 1);
  controller.send(ChangeStep{+1});
  controller.settle();
  controller.send(PokeRow{Part::k, 3, kScramble, kNow});
  auto view = controller.settle();
  CHECK(view->pokes.entries.size() == 2);
  CHECK(view->n_pokes == 1);
  controller.send(RestoreRow{Part::k, 3});  // only the one of this step
  view = controller.settle();
  REQUIRE(view->pokes.entries.size() == 1);
  CHECK(view->pokes.entries[0].when == "now: in decode 3 only");
}

TEST_CASE("an entry leads to its layer, head and step, and takes its poke away") {
  Controller controller(dog());
  controller.settle();
  controller.send(SetHead{5});
  controller.send(SetLayer{1});
  controller.settle();
  controller.send(PokeRow{Part::q, 2, kScramble, kNow});
  controller.settle();
  controller.send(SetLayer{3});
  controller.send(SetHead{0});
  controller.send(GoToStep{4, false});
  auto view = controller.settle();
  REQUIRE(view->pokes.entries.size() == 1);
  controller.send(view->pokes.entries[0].show);
  view = controller.settle();
  CHECK(view->layer == 1);
  CHECK(view->head == 5);
  CHECK(view->transport.step == 3);
  CHECK(view->panes[1].q.rows[2].poked);
  controller.send(view->pokes.entries[0].remove);
  view = controller.settle();
  CHECK(view->pokes.entries.empty());
  CHECK(view->n_pokes == 0);
  CHECK(view->pokes.button == "0 pokes");  // there is something to undo
}

TEST_CASE("undo and redo, across steps; a new prompt clears everything") {
  Controller controller(dog());
  controller.settle();
  controller.send(UndoPoke{});
  REQUIRE(controller.settle()->notice);
  controller.send(PokeRow{Part::k, 3, kScramble, kNow});
  controller.settle();
  controller.send(PokeRow{Part::k, 2, kScramble, kNow});
  controller.settle();
  controller.send(RestoreAll{});
  CHECK(controller.settle()->pokes.undo_text == "Undo: restore of 2 pokes");
  controller.send(ChangeStep{+1});
  controller.settle();
  controller.send(UndoPoke{});
  auto view = controller.settle();
  CHECK(view->pokes.entries.size() == 2);
  CHECK(view->n_pokes == 0);  // both belong to the step before
  CHECK(view->pokes.undo_text == "Undo: poke of k[2]");
  CHECK(view->pokes.redo_text == "Redo: restore of 2 pokes");
  controller.send(ChangeStep{-1});
  controller.send(UndoPoke{});
  view = controller.settle();
  CHECK(view->n_pokes == 1);
  CHECK(view->panes[0].k.rows[3].poked);
  controller.send(RedoPoke{});
  CHECK(controller.settle()->n_pokes == 2);
  controller.send(SetPrompt{"the fox"});
  view = controller.settle();
  CHECK(view->pokes.entries.empty());
  CHECK(view->pokes.button == "");
  controller.send(UndoPoke{});
  CHECK(controller.settle()->notice);
}

TEST_CASE("before → after: each number is that of the step with and without the pokes") {
  Controller controller(dog());
  controller.send(OpenPokes{true});
  const auto before = controller.settle();
  controller.send(PokeRow{Part::k, 3, kScramble, kNow});
  auto after = controller.settle();
  controller.send(OpenPokes{true});
  after = controller.settle();
  CHECK(after->pokes.open);
  REQUIRE(after->pokes.comparison);
  const PokeComparison& c = *after->pokes.comparison;
  CHECK(c.title == "last row (“lazy”) · layer 3 (last) · head 0");
  REQUIRE(c.sides.size() == 1);  // both sides read the same
  const SideComparison& side = c.sides[0];
  CHECK(side.side == "both sides");
  CHECK(side.next_text == "next token “cat” → “dog”");
  REQUIRE(side.keys.size() == 5);
  CHECK(side.keys[0].token == "dog");
  CHECK(side.keys[1].token == "the");  // most of the weight of “dog” goes to position 0
  for (const KeyChange& key : side.keys) {
    CHECK(key.weight_before == before->panes[0].weights.at(6, key.position));
    CHECK(key.weight_after == after->panes[0].weights.at(6, key.position));
    CHECK(key.score_before == before->panes[0].scores.at(6, key.position));
    CHECK(key.score_after == after->panes[0].scores.at(6, key.position));
  }
  CHECK(side.more_keys.starts_with("and 2 more: weights changed by at most "));
  CHECK(side.output_before == before->panes[0].output.values);
  CHECK(side.output_after == after->panes[0].output.values);
  REQUIRE(side.tokens.size() >= 5);
  for (size_t i = 0; i < 5; ++i) {
    CHECK(side.tokens[i].id == after->next[0].top[i].id);
    CHECK(side.tokens[i].logit_after == after->next[0].top[i].logit);
    CHECK(side.tokens[i].rank_after == int(i) + 1);
    for (size_t j = 0; j < 5; ++j) {
      if (before->next[0].top[j].id != side.tokens[i].id) continue;
      CHECK(side.tokens[i].rank_before == int(j) + 1);
      CHECK(side.tokens[i].logit_before == before->next[0].top[j].logit);
    }
  }
  CHECK(side.tokens[0].text == "dog");

  // A past query: nothing changes with the cache, and without it nothing in the last row.
  controller.send(RestoreAll{});
  controller.settle();
  CHECK(controller.settle()->pokes.hint == "Nothing is poked.");
  controller.send(PokeRow{Part::q, 3, kScramble, kNow});
  after = controller.settle();
  REQUIRE(after->pokes.comparison);
  CHECK(after->pokes.comparison->sides[0].identical);
  CHECK(after->pokes.comparison->sides[0].next_text == "next token still “cat”");
  CHECK(after->pokes.comparison->sides[0].more_keys == "scores and weights unchanged");
  CHECK(after->pokes.comparison->sides[0].output_text == "output unchanged");
}

TEST_CASE("where the sides differ the comparison has both") {
  Controller controller(dog());
  controller.send(SetLayer{2});
  controller.settle();
  controller.send(PokeRow{Part::q, 3, kScramble, kNow});
  controller.settle();
  controller.send(SetLayer{3});
  controller.send(OpenPokes{true});
  const auto view = controller.settle();
  REQUIRE(view->pokes.comparison);
  REQUIRE(view->pokes.comparison->sides.size() == 2);
  CHECK(view->pokes.comparison->sides[0].side == "with cache");
  CHECK(view->pokes.comparison->sides[0].identical);
  CHECK(view->pokes.comparison->sides[1].side == "without cache");
  CHECK_FALSE(view->pokes.comparison->sides[1].identical);
}

TEST_CASE("while a menu is open its row is pointed at, whatever the mouse does") {
  Controller controller(dog());
  controller.settle();
  controller.send(Hover{Target{Mode::cached, Part::k, 3, 2}});
  CHECK(controller.settle()->crosshair.s == 3);
  controller.send(OpenPokeMenu{{Mode::cached, Part::v, 5, -1}});
  auto view = controller.settle();
  CHECK(view->poke_menu->title.starts_with("v[5]"));
  CHECK(view->crosshair.s == 5);
  CHECK(view->inspector.hover_title.starts_with("v[5]"));
  controller.send(Hover{Target{Mode::cached, Part::k, 1, 2}});
  CHECK(controller.settle()->crosshair.s == 5);
  controller.send(Escape{});
  view = controller.settle();
  CHECK_FALSE(view->poke_menu);
  CHECK(view->crosshair.s == 1);
}

TEST_CASE("Esc closes the list of pokes, and what is closed has no comparison") {
  Controller controller(dog());
  controller.settle();
  controller.send(PokeRow{Part::k, 3, kScramble, kNow});
  controller.settle();
  controller.send(OpenPokes{true});
  CHECK(controller.settle()->pokes.open);
  controller.send(Escape{});
  const auto view = controller.settle();
  CHECK_FALSE(view->pokes.open);
  CHECK_FALSE(view->pokes.comparison);
  CHECK(view->pokes.button == "1 poke");
}
