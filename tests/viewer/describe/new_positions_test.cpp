// A cache with new positions (cache/window_cache.h) in the viewer: what RoPE goes by, what K was stored as and what the
// scores used, and the side without a cache, which runs a pass for every token.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "registry/registry.h"
#include "session/session.h"
#include "tests/viewer/recording_host.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/reads.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/run/sessions.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

constexpr const char* kRenumbered = "window:w=4,sinks=2,block=1,positions=new";
constexpr const char* kFourTokens = "the quick brown fox";

ControllerOptions renumbered(int step) {
  ControllerOptions o;
  o.cache = cache_options(kRenumbered);
  o.step = step;
  return o;
}

Goal renumbered_goal(int step) {
  Goal goal{"fable-mha", kFourTokens, "eigen", step};
  goal.cache = cache_options(kRenumbered);
  return goal;
}

std::shared_ptr<const ViewState> in_beat(Controller& controller, Beat beat) {
  controller.send(GoToBeat{beat});
  return controller.settle();
}

std::string hover_line(Controller& controller, const Target& target) {
  controller.send(Hover{target});
  return controller.settle()->inspector.hover_line;
}

/// RoPE of a row at a position, with half of the head as the partner of the other half.
std::vector<double> rotated(const float* row, int width, int position, double theta) {
  std::vector<double> out(static_cast<size_t>(width));
  for (int d = 0; d < width / 2; ++d) {
    const double angle = position * std::pow(theta, -2.0 * d / width), x = double{row[d]},
                 y = double{row[d + width / 2]};
    out[static_cast<size_t>(d)] = x * std::cos(angle) - y * std::sin(angle);
    out[static_cast<size_t>(d + width / 2)] = x * std::sin(angle) + y * std::cos(angle);
  }
  return out;
}

double product(const float* a, const float* b, int n) {
  double sum = 0;
  for (int d = 0; d < n; ++d) sum += double{a[d]} * double{b[d]};
  return sum;
}

constexpr double kSameScore = 1e-3;  // two ways to sum 16 products in f32

}  // namespace

TEST_CASE("new positions: beside each held row stands the position that RoPE uses, on both sides") {
  Controller controller(renumbered(11));  // position 11; held: 0, 1 and 8 … 11
  const auto view = in_beat(controller, Beat::sum);
  const std::vector<std::string> expected = {"0", "1", "", "", "", "", "", "", "2", "3", "4", "5"};
  for (const PaneState& pane : view->panes) {
    CHECK(pane.indices == expected);
    CHECK(pane.index_title == "new");
  }
  CHECK(view->panes[0].k.rows[5].is == State::not_stored);
  CHECK(view->panes[0].struck[5]);
  CHECK(view->panes[0].price ==
        "RoPE goes by the new positions, so K is stored before RoPE and rotated in every step.");
  CHECK(view->panes[1].price ==
        "Here every token gets its own pass, because each query sees the keys at other positions.");
  CHECK(view->transport.banner == "Decode step 11 · position 11 · 6 of 12 keys");
  CHECK(in_beat(controller, Beat::append)->sentence.text ==
        "② Left stores K before RoPE. Then it rotates all 6 keys to the new positions 0 to 5.");
  CHECK(in_beat(controller, Beat::append)->panes[0].beat_note == "appends K before RoPE, rotates 6 keys");
  // Before the text is longer than the window, the new positions are those of the text.
  controller.send(GoToStep{3});
  CHECK(in_beat(controller, Beat::keep)->panes[0].indices == std::vector<std::string>{"0", "1", "2", "3"});
}

TEST_CASE("new positions: K is shown as the scores used it, which is the stored row rotated to its index") {
  Progress progress;
  Sessions sessions(progress);
  const Outcome o = sessions.reach(renumbered_goal(11));
  REQUIRE(o.snapshot);
  const Setup& setup = *o.snapshot->setup;
  const ModelConfig& c = setup.config();
  REQUIRE(c.rope_pairing == RopePairing::halves);
  const SideData& left = o.snapshot->now->side(Mode::cached);
  const std::vector<int> held = {0, 1, 8, 9, 10, 11};
  for (int layer = 0; layer < c.n_layers; ++layer)
    for (int g = 0; g < c.n_kv_heads; ++g)
      for (int index = 0; index < 6; ++index) {
        const int position = held[static_cast<size_t>(index)];
        const float *stored = stored_k_row(setup, left, layer, g, position),
                    *used = k_row(setup, left, layer, g, position);
        REQUIRE(stored != nullptr);
        REQUIRE(used != nullptr);
        const std::vector<double> expected = rotated(stored, c.head_dim, index, double{c.rope_theta});
        for (int d = 0; d < c.head_dim; ++d)
          CHECK(double{used[d]} == doctest::Approx(expected[static_cast<size_t>(d)]).epsilon(1e-4));
      }
}

TEST_CASE("new positions: a score is the product of the rows that are shown, wherever a product is shown") {
  Progress progress;
  Sessions sessions(progress);
  const Outcome o = sessions.reach(renumbered_goal(11));
  REQUIRE(o.snapshot);
  const Setup& setup = *o.snapshot->setup;
  const ModelConfig& c = setup.config();
  int n_shown = 0, n_hidden = 0;
  for (const Mode side : {Mode::cached, Mode::recompute}) {
    const SideData& d = o.snapshot->now->side(side);
    for (int t = d.first_position; t < 12; ++t)
      for (const int s : keys_seen(d, 2, t)) {
        if (!is_key_as_read(d, 2, t, s)) {
          ++n_hidden;
          continue;
        }
        ++n_shown;
        const double score = product(q_row(setup, d, 2, 1, t), k_row(setup, d, 2, 1, s), c.head_dim) /
                             std::sqrt(double(c.head_dim));
        CHECK(score == doctest::Approx(double{score_row(d, 2, 1, t, 12)[s]}).epsilon(kSameScore));
      }
  }
  CHECK(n_shown > 6 + 6 + 2 * 10);  // the last row on both sides, and the sinks in all rows
  CHECK(n_hidden > 0);
}

TEST_CASE("new positions: a past row on the right is what the left computed in that row's step") {
  Progress progress;
  Sessions sessions(progress);
  const Outcome last = sessions.reach(renumbered_goal(11));
  REQUIRE(last.snapshot);
  const SideData& right = last.snapshot->now->side(Mode::recompute);
  CHECK(right.q_len == 12);
  CHECK(right.first_position == 0);
  for (int t = 0; t < 12; ++t) {
    CAPTURE(t);
    const Outcome then = sessions.reach(renumbered_goal(t));
    REQUIRE(then.snapshot);
    CHECK(then.snapshot->now->n_tokens == t + 1);
    const SideData& left = then.snapshot->now->side(Mode::cached);
    CHECK(used_position(left, t) == used_position(right, t));
    CHECK(used_position(left, t) == std::min(t, 5));
    for (int s = 0; s <= t; ++s) {
      const float a = score_row(left, 3, 0, t, t + 1)[s], b = score_row(right, 3, 0, t, 12)[s];
      if (std::isinf(a))
        CHECK(a == b);
      else
        CHECK(double{a} == doctest::Approx(double{b}).epsilon(kSameScore));
      CHECK(key_use(left, 3, t, s) == (std::isinf(a) ? KeyUse::not_stored : KeyUse::seen));
      if (!std::isinf(a)) CHECK(used_position(left, 3, t, s) == used_position(right, 3, t, s));
    }
  }
}

TEST_CASE("new positions: reads are counted by the position in the text") {
  Progress progress;
  Sessions sessions(progress);
  const Outcome o = sessions.reach(renumbered_goal(11));
  REQUIRE(o.snapshot);
  for (int position = 0; position < 12; ++position) {
    CAPTURE(position);
    CHECK(count_reads(*o.snapshot, Mode::cached, 3, Part::k, position).times ==
          (position < 2 ? 12 - position : std::min(4, 12 - position)));
    CHECK(count_reads(*o.snapshot, Mode::cached, 3, Part::q, position).times == 1);
    CHECK(count_reads(*o.snapshot, Mode::recompute, 3, Part::q, position).times == 12 - position);
  }
}

TEST_CASE("new positions: the inspector names both positions, and both forms of K") {
  Controller controller(renumbered(11));
  controller.settle();
  CHECK(hover_line(controller, {Mode::cached, Part::k, 9, -1}).starts_with("k[9] at new position 3: "));
  CHECK(hover_line(controller, {Mode::cached, Part::k, 9, 2}).ends_with("(after RoPE at new position 3)"));
  CHECK(hover_line(controller, {Mode::cached, Part::q, 11, 0}).ends_with("(after RoPE at new position 5)"));
  CHECK(hover_line(controller, {Mode::cached, Part::score, 11, 9}).starts_with("score(11, 9) = q[11]·k[9]"));
  // On the right k[9] is at new position 3 in the last pass, but the pass of row 10 had it at 4.
  const std::string past = hover_line(controller, {Mode::recompute, Part::score, 10, 9});
  CHECK(past.starts_with("score(10, 9) = "));
  CHECK(past.ends_with(": the pass of row 10 had k[9] at new position 4"));
  CHECK(hover_line(controller, {Mode::recompute, Part::score, 10, 1}).find("q[10]·k[1]") !=
        std::string::npos);
  CHECK(hover_line(controller, {Mode::recompute, Part::score, 5, 9}) ==
        "key 9 comes after query 5: the pass of row 5 does not have it yet");
  CHECK(hover_line(controller, {Mode::recompute, Part::score, 11, 5}) ==
        "key 5 lies outside the window of query 11: the pass of row 11 does not have it any more");
  controller.send(Pin{Target{Mode::cached, Part::k, 9, -1}});
  const auto view = controller.settle();
  const auto& lines = view->inspector.pinned.value().provenance;
  const auto line = [&](const char* name) {
    const auto it = std::ranges::find(lines, std::string(name), [](const auto& l) { return l.first; });
    return it == lines.end() ? "" : it->second;
  };
  CHECK(line("position") == "9 in the text");
  CHECK(line("new position") == "3, which RoPE uses");
  CHECK(line("RoPE angle").starts_with("3 rad"));
  CHECK(line("stored").starts_with("d 0 = "));
  CHECK(line("after RoPE").starts_with("d 0 = "));
  CHECK(line("index").empty());
  controller.send(Pin{Target{Mode::recompute, Part::k, 5, -1}});
  const auto past_key = controller.settle()->inspector.pinned.value();
  CHECK(std::ranges::find(past_key.provenance, std::pair<std::string, std::string>(
                                                   "new position", "2, in the last pass that read it")) !=
        past_key.provenance.end());
}

TEST_CASE(
    "new positions: each token of the prompt is a step, and changing the cache keeps the place in the text") {
  Controller controller(renumbered(1));
  auto view = in_beat(controller, Beat::next);
  CHECK(view->transport.banner == "Prefill step 1 · position 1 · 2 keys");
  CHECK(view->tokens.back().text == "brown");
  CHECK(view->sentence.text == "④ The last row gives a next token, but the prompt goes on with “brown”.");
  controller.send(GoToStep{0});
  CHECK(in_beat(controller, Beat::start)->sentence.text ==
        "Prefill feeds one token per step, because every step has new positions. This is the first.");
  controller.send(GoToStep{7});
  CHECK(controller.settle()->transport.banner == "Decode step 7 · position 7 · 6 of 8 keys");
  controller.send(SetCache{"contiguous"});
  CHECK(controller.settle()->transport.banner == "Decode 4 · position 7 · 8 keys");
  controller.send(SetCache{kRenumbered});
  CHECK(controller.settle()->transport.banner == "Decode step 7 · position 7 · 6 of 8 keys");
}

TEST_CASE("new positions: both sides agree, and stepping about shows the same") {
  Controller controller(renumbered(11));
  const auto text = [&](int step) {
    controller.send(GoToStep{step});
    const auto view = controller.settle();
    std::string all = view->transport.banner + view->panes[0].kept + view->panes[0].pool.note;
    for (const PaneState& pane : view->panes) {
      for (const float x : pane.k.values) all += fmt::format("{} ", x);
      for (const float x : pane.weights.values) all += fmt::format("{} ", x);
    }
    return all;
  };
  std::vector<std::string> first;
  for (int step = 0; step <= 11; ++step) {
    first.push_back(text(step));
    CHECK(controller.settle()->same_next_token);
  }
  for (const int step : {8, 3, 11, 0, 5}) CHECK(text(step) == first[static_cast<size_t>(step)]);
}

TEST_CASE("new positions: pokes of held and of forgotten rows") {
  Controller controller(renumbered(11));
  const auto before = controller.settle();
  const auto poke = [&](Part part, int position) {
    controller.send(RestoreAll{});
    controller.send(PokeRow{part, position, Poke::Action::scramble, Poke::When::now});
    return controller.settle();
  };
  auto view = poke(Part::k, 9);
  for (const PaneState& pane : view->panes) CHECK_FALSE(pane.badges.at(0).no_effect);
  // The screen shows the poked row as the scores used it.
  CHECK(view->panes[0].k.at(9, 0) != before->panes[0].k.at(9, 0));
  CHECK(double{view->panes[0].k.at(9, 0)} ==
        doctest::Approx(double{view->panes[1].k.at(9, 0)}).epsilon(kSameScore));
  CHECK(view->panes[0].price.starts_with("RoPE goes by the new positions"));
  CHECK(view->panes[0].price.find("Without pokes logits ") != std::string::npos);
  view = poke(Part::k, 5);
  CHECK(view->panes[0].badges.at(0).no_effect);
  CHECK(view->panes[0].badges[0].text.find("k[5] is not stored any more") != std::string::npos);
  view = poke(Part::q, 3);
  CHECK(view->panes[0].badges.at(0).no_effect);
  controller.send(RestoreAll{});
  CHECK(controller.settle()->panes[0].k.values == before->panes[0].k.values);
}

TEST_CASE("new positions with K and V in 8 bits: all that differs is the rounding") {
  ControllerOptions o = renumbered(11);
  o.cache = cache_options(kRenumbered, "int8");
  Controller controller(o);
  const auto view = controller.settle();
  for (const PaneState& pane : view->panes)
    CHECK(pane.price.find(", by rounding; both choose “") != std::string::npos);
}

TEST_CASE("new positions and ALiBi: the distance is that of the new positions, and K is as it is stored") {
  ControllerOptions o = renumbered(11);
  o.model = "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=32,alibi=1,seed=3";
  o.prompt = "a b c";
  Controller controller(o);
  const auto view = controller.settle();
  CHECK(view->panes[0].price.starts_with("ALiBi goes by the distance between new positions."));
  // From 11 to sink 1 it is 5 − 1 = 4, although 10 tokens lie between them in the text.
  const std::string sink = hover_line(controller, {Mode::cached, Part::score, 11, 1});
  CHECK(sink.find("·4 = ") != std::string::npos);
  CHECK(hover_line(controller, {Mode::recompute, Part::score, 10, 9}).find("·1 = ") != std::string::npos);
}

TEST_CASE("new positions: a step that is too large to keep whole is refused in one line") {
  Progress progress;
  Sessions sessions(progress, {.whole = 100000, .rows = 0});
  const Outcome o = sessions.reach(renumbered_goal(60));
  CHECK_FALSE(o.snapshot);
  CHECK(o.error.find("choose positions=kept") != std::string::npos);
}

TEST_CASE("new positions in the list of caches; a model with learned positions cannot have them") {
  const auto offered = [](const std::string& model) {
    ControllerOptions o;
    o.model = model;
    o.prompt = "the dog";
    o.step = 1;
    Controller controller(o);
    controller.settle();
    controller.send(OpenChoices{ChoiceList::caches});
    const auto choices = controller.settle()->caches.choices;
    const auto at = std::ranges::find_if(
        choices, [](const Choice& c) { return c.name.find("positions=new") != std::string::npos; });
    REQUIRE(at != choices.end());
    return *at;
  };
  const Choice with_rope = offered("fable-mha");
  CHECK(with_rope.usable);
  CHECK(with_rope.button == "2 sinks + window 8, new");
  const Choice learned =
      offered("random:arch=gpt2,layers=2,q_heads=2,kv_heads=2,head_dim=8,vocab=64,context=32,seed=3");
  CHECK_FALSE(learned.usable);
  CHECK(learned.reason.find("learned embedding of the position") != std::string::npos);
}
