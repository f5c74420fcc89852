// Pokes: what the badges say is what the numbers say, and restoring restores every bit.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/viewer/recording_host.h"
#include "viewer/view_model/describe/text.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

ControllerOptions fable(const std::string& model = "fable-mha") {
  ControllerOptions o;
  o.model = model;
  return o;
}

struct Told {
  std::string left, right, difference;
  std::shared_ptr<const ViewState> view;
};

Told poke(Controller& controller, int layer, Part part, int position, Poke::Action action,
          Poke::When when = Poke::When::now) {
  controller.send(RestoreAll{});
  controller.send(SetLayer{layer});
  controller.settle();
  controller.send(PokeRow{part, position, action, when});
  auto view = controller.settle();
  REQUIRE(view->panes[0].badges.size() == 1);
  return {view->panes[0].badges[0].text, view->panes[1].badges[0].text, view->panes[1].difference, view};
}

std::string without_costs(const ViewState& view) {
  auto j = nlohmann::json::parse(to_json(view));
  j["costs"] = nullptr;
  j["poke_list"] = nullptr;  // what can be undone and redone
  return j.dump();
}

}  // namespace

TEST_CASE("a past query, last layer: read 0 times on the left, its own row only on the right") {
  Controller controller(fable());
  const Told t = poke(controller, 3, Part::q, 3, Poke::Action::scramble);
  CHECK(t.left == "now · q[3] is read 0 times in this step. Logits bit-identical.");
  CHECK(t.right.starts_with("now · Row 3 changed by "));
  CHECK(t.right.ends_with(". The last row is bit-identical."));
  CHECK(t.difference == "");
  CHECK(t.view->panes[0].badges[0].no_effect);
  CHECK(t.view->panes[1].badges[0].no_effect);
  CHECK(t.view->panes[0].q.rows[3].poked);  // absent, but still poked
  CHECK(t.view->panes[0].q.rows[3].is == State::absent);
  CHECK(t.view->panes[1].q.rows[3].poked);
  CHECK(t.view->n_pokes == 1);
  CHECK(t.view->pokes_text == fmt::format("q[3] scrambled in layer 3, head {} · now", t.view->head));
}

TEST_CASE("a past query, lower layer: nothing on the left, the rows above on the right") {
  Controller controller(fable());
  const Told t = poke(controller, 2, Part::q, 3, Poke::Action::scramble);
  CHECK(t.left == "now · q[3] is read 0 times in this step. Logits bit-identical.");
  CHECK(t.right.starts_with("now · Logits changed by "));
  CHECK(t.right.ends_with("q[3] rebuilds row 3 of layer 3's K and V."));
  CHECK(t.difference == "right also rebuilt row 3 in the layers above");
  CHECK_FALSE(t.view->panes[1].badges[0].no_effect);
}

TEST_CASE("a past query since its own step matters to the left as well, in lower layers") {
  Controller controller(fable());
  const Told t = poke(controller, 2, Part::q, 3, Poke::Action::scramble, Poke::When::since);
  CHECK(
      t.left.starts_with("since its own step · q[3] is read 0 times in this step. In prefill it was read "
                         "once, for row 3 of K and V above. "
                         "Logits changed by "));
  CHECK(t.right.starts_with("since its own step · Logits changed by "));
  // Both sides now compute the same function: the theorem of pokes.
  for (size_t i = 0; i < 5; ++i) {
    CHECK(t.view->next[0].top[i].id == t.view->next[1].top[i].id);
    CHECK(t.view->next[0].top[i].logit == doctest::Approx(t.view->next[1].top[i].logit).epsilon(1e-4));
  }
}

TEST_CASE("a key: weight before and after, as the pane shows them; zeroed it stays visible") {
  Controller controller(fable());
  controller.send(SetLayer{3});
  const auto before = controller.settle();
  const Told t = poke(controller, 3, Part::k, 3, Poke::Action::scramble);
  const std::string weights =
      fmt::format("now · Weight {} → {}, all weights rescaled; logits changed by ",
                  rough(before->panes[0].weights.at(7, 3)), rough(t.view->panes[0].weights.at(7, 3)));
  CHECK(t.left.starts_with(weights));
  CHECK(t.right.starts_with(weights));
  const Told zero = poke(controller, 3, Part::k, 3, Poke::Action::zero);
  CHECK(zero.left.starts_with("now · Score 0, not −∞: the token stays visible. Weight "));
  CHECK(zero.view->panes[0].scores.at(7, 3) == 0);
  CHECK(zero.view->panes[0].weights.at(7, 3) > 0);
  CHECK(zero.view->panes[0].scores.cell(7, 3) == State::computed_now);
}

TEST_CASE("a value: the head's output changes by weight × change") {
  Controller controller(fable());
  controller.send(SetLayer{3});
  const auto before = controller.settle();
  const Told t = poke(controller, 3, Part::v, 3, Poke::Action::scramble);
  const PaneState &a = before->panes[0], &b = t.view->panes[0];
  int d = 0;
  for (int i = 1; i < 16; ++i)
    if (std::fabs(b.v.at(3, i) - a.v.at(3, i)) > std::fabs(b.v.at(3, d) - a.v.at(3, d))) d = i;
  const double weight = double(a.weights.at(7, 3)), change = double(b.v.at(3, d) - a.v.at(3, d));
  const double out = double(b.output.values[size_t(d)] - a.output.values[size_t(d)]);
  CHECK(weight * change == doctest::Approx(out).epsilon(1e-3));
  CHECK(t.left.starts_with(
      fmt::format("now · This head's output changed by weight × change = {} × {} = {}; logits changed by ",
                  number(weight), number(change), number(out))));
  CHECK(a.weights.values == b.weights.values);  // weights do not depend on V
}

TEST_CASE("the current query decides on both sides") {
  Controller controller(fable());
  const Told t = poke(controller, 3, Part::q, 7, Poke::Action::scramble);
  CHECK(t.left.starts_with("now · This query decides: its output changed by "));
  CHECK(t.right.starts_with("now · This query decides: both sides changed, by "));
}

TEST_CASE("a key in a lower layer: right rebuilds every later row above, and says so") {
  Controller controller(fable());
  const Told t = poke(controller, 1, Part::k, 3, Poke::Action::scramble);
  CHECK(t.difference == "right also rebuilt rows 3–7 in the layers above");
}

TEST_CASE("with shared heads all that are reached are named, and shown in each of them") {
  Controller controller(fable("fable-gqa"));
  controller.send(SetHead{5});
  const Told t = poke(controller, 3, Part::k, 2, Poke::Action::scramble);
  CHECK(t.left.ends_with("It reaches query heads 4–7."));
  controller.send(SetHead{6});
  auto view = controller.settle();
  CHECK(view->panes[0].k.rows[2].poked);
  CHECK(view->panes[0].badges[0].part == Part::k);
  controller.send(SetHead{1});
  view = controller.settle();
  CHECK_FALSE(view->panes[0].k.rows[2].poked);
  CHECK(view->panes[0].badges[0].part == Part::none);  // not shown here
  CHECK(view->panes[0].badges[0].text.starts_with("k[2] in layer 3, K/V head 1 · now · "));
}

TEST_CASE("the badge's claims hold in every layer and for every row, on both sides") {
  Controller controller(fable("fable-mqa"));
  for (int layer = 0; layer < 4; ++layer)
    for (int position = 0; position < 8; ++position)
      for (const Part part : {Part::q, Part::k, Part::v}) {
        const Told t = poke(controller, layer, part, position, Poke::Action::scramble);
        const bool past_query = part == Part::q && position < 7;
        if (past_query) CHECK(t.view->panes[0].badges[0].no_effect);
        if (past_query && layer == 3) CHECK(t.view->panes[1].badges[0].no_effect);
        if (part == Part::v) CHECK_FALSE(t.view->panes[0].badges[0].no_effect);
        if (t.view->panes[0].badges[0].no_effect) CHECK(t.view->next[0].top[0].logit_change == 0);
        CHECK(t.left.find("NaN") == std::string::npos);
        CHECK(t.right.find("NaN") == std::string::npos);
      }
}

TEST_CASE("restoring brings every bit back, from any mixture of pokes") {
  Controller controller(fable());
  controller.send(SetLayer{2});
  const std::string before = without_costs(*controller.settle());
  controller.send(PokeRow{Part::k, 2, Poke::Action::scramble, Poke::When::now});
  controller.send(PokeRow{Part::v, 5, Poke::Action::zero, Poke::When::since});
  controller.send(PokeRow{Part::q, 1, Poke::Action::scramble, Poke::When::since});
  const auto poked = controller.settle();
  CHECK(poked->n_pokes == 3);
  CHECK(poked->panes[0].badges[0].text.starts_with(
      "3 pokes (1 now, 2 since their own steps): logits changed by "));
  CHECK(poked->pokes_text.starts_with("3 pokes: k[2] scrambled in layer 2"));
  controller.send(RestoreRow{Part::v, 5});
  CHECK(controller.settle()->n_pokes == 2);
  controller.send(RestoreAll{});
  CHECK(without_costs(*controller.settle()) == before);
}

TEST_CASE("a poke of now ends with its step, a poke since goes with the text; neither rewrites the text") {
  Controller controller(fable());
  controller.send(GoToStep{6, false});
  const auto plain = controller.settle();
  std::vector<int> tokens;
  for (const TokenChip& t : plain->tokens) tokens.push_back(t.id);
  controller.send(GoToStep{4, false});
  controller.send(SetLayer{1});
  controller.settle();
  controller.send(PokeRow{Part::k, 3, Poke::Action::scramble, Poke::When::now});
  controller.settle();
  controller.send(PokeRow{Part::v, 2, Poke::Action::scramble, Poke::When::since});
  CHECK(controller.settle()->n_pokes == 2);
  controller.send(GoToStep{6, false});
  const auto later = controller.settle();
  CHECK(later->n_pokes == 1);
  CHECK(later->pokes_text.starts_with("v[2] scrambled in layer 1"));
  for (size_t i = 0; i + 1 < tokens.size(); ++i) CHECK(later->tokens[i].id == tokens[i]);
}

TEST_CASE("in the prefill both sides read every query, and say the same") {
  ControllerOptions o = fable();
  o.step = 0;
  Controller controller(o);
  const Told last = poke(controller, 3, Part::q, 1, Poke::Action::scramble);
  CHECK(last.left == last.right);
  CHECK(last.left.starts_with("now · Row 1 changed by "));
  const Told lower = poke(controller, 1, Part::q, 1, Poke::Action::scramble);
  CHECK(lower.left.ends_with("q[1] feeds row 1 of layer 2's K and V."));
  CHECK(lower.left == lower.right);
}

TEST_CASE("the menu of pokes offers what the row allows") {
  Controller controller(fable("fable-gqa"));
  controller.send(SetHead{2});
  controller.settle();
  controller.send(OpenPokeMenu{{Mode::cached, Part::k, 3, -1}});
  auto view = controller.settle();
  REQUIRE(view->poke_menu);
  CHECK(view->poke_menu->title == "k[3] · fox · layer 3 (last) · K/V head 0, shared by query heads 0–3");
  REQUIRE(view->poke_menu->entries.size() == 6);
  CHECK_FALSE(view->poke_menu->entries[4].enabled);  // nothing to restore
  CHECK(view->poke_menu->entries[4].reason != "");
  controller.send(view->poke_menu->entries[0].command);
  view = controller.settle();
  CHECK_FALSE(view->poke_menu);
  CHECK(view->n_pokes == 1);
  controller.send(OpenPokeMenu{{Mode::recompute, Part::k, 3, -1}});
  view = controller.settle();
  CHECK(view->poke_menu->entries[4].enabled);
  controller.send(Escape{});
  CHECK_FALSE(controller.settle()->poke_menu);
  // P: the hovered row, else a hint.
  controller.send(PokeHere{});
  CHECK(controller.settle()->notice);
  controller.send(Hover{Target{Mode::recompute, Part::v, 2, 4}});
  controller.send(PokeHere{});
  view = controller.settle();
  REQUIRE(view->poke_menu);
  CHECK(view->poke_menu->target == Target{Mode::recompute, Part::v, 2, -1});
}
