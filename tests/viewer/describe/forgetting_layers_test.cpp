// A model in which only some layers have a window: what is stored, and what is said, follow the layer that is shown.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/viewer/recording_host.h"
#include "tests/viewer/twin_at.h"
#include "viewer/view_model/describe/reads.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/run/sessions.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

// Layers 0 and 2 see the last 4 keys; layers 1 and 3 see all of them.
constexpr const char* kAlternating =
    "random:layers=4,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=32,window=4,window_period=2,seed=3";
constexpr const char* kSixTokens = "a b c d e f";

ControllerOptions alternating(int step) {
  ControllerOptions o;
  o.model = kAlternating;
  o.prompt = kSixTokens;
  o.step = step;
  o.cache = cache_options("window:block=1");
  return o;
}

std::shared_ptr<const ViewState> in_layer(Controller& controller, int layer) {
  controller.send(SetLayer{layer});
  return controller.settle();
}

}  // namespace

TEST_CASE("window 4 in layers 0 and 2: after decode 6 they hold 3 rows, and the others all 12") {
  Controller controller(alternating(6));
  for (int layer = 0; layer < 4; ++layer) {
    CAPTURE(layer);
    const bool has_ring = layer % 2 == 0;
    const auto view = in_layer(controller, layer);
    const PaneState &left = view->panes[0], &right = view->panes[1];
    CHECK(left.kept == fmt::format("kept after this step: Q 0 · K {0} · V {0}", has_ring ? 3 : 12));
    CHECK(left.k.rows[3].is == (has_ring ? State::not_stored : State::from_cache));
    CHECK(left.weights.cell(11, 3) == (has_ring ? State::not_stored : State::computed_now));
    CHECK(right.weights.cell(11, 3) == (has_ring ? State::masked : right.weights.rows[11].is));
    CHECK(left.struck[3] == has_ring);
    CHECK(left.indices.empty() != has_ring);
    CHECK(left.pool.slots.empty() != has_ring);
    CHECK(left.beat_note == (has_ring ? "evicts row 8: leaves the window" : "drops Q and scores"));
    CHECK(left.subtitle.ends_with(has_ring ? "1 query meets 4 keys" : "1 query meets 12 keys"));
    CHECK(view->transport.banner.ends_with(has_ring ? "4 of 12 keys" : "12 keys"));
    for (const PaneState& pane : view->panes)
      CHECK(pane.price.starts_with(has_ring ? "Both sides have the same window"
                                            : fmt::format("Layer {} has no window, so the cache keeps all "
                                                          "its rows. Layers 0, 2 have a window.",
                                                          layer)));
    CHECK(left.forgets);  // so that nothing moves when the layer changes
  }
}

TEST_CASE("two groups of layers: index, slot and values are what the session says of each layer") {
  Controller controller(alternating(0));
  for (const int step : {0, 1, 5, 9, 3}) {
    controller.send(GoToStep{step});
    const auto twin = twin_at(kAlternating, kSixTokens, "window:block=1", step);
    const DecodeSession& session = twin->cached();
    for (int layer = 0; layer < 4; ++layer) {
      CAPTURE(step);
      CAPTURE(layer);
      const auto view = in_layer(controller, layer);
      const PaneState& left = view->panes[0];
      const KvCache& cache = session.cache().of_layer(layer);
      std::vector<int> index_at(static_cast<size_t>(view->n_tokens), -1);
      const int kv_head = view->head / 2;
      for (int32_t i = 0; i < cache.length(0); ++i) {
        const int32_t position = cache.position_of(0, i);
        index_at[static_cast<size_t>(position)] = i;
        if (!left.pool.slots.empty())
          CHECK(left.pool.slots[static_cast<size_t>(cache.slot(0, i))].position == position);
        const Tensor stored = session.stored_row(layer, RowKind::k, i);
        for (int d = 0; d < view->head_dim; ++d)
          CHECK(left.k.at(position, d) == stored.data<float>()[kv_head * view->head_dim + d]);
      }
      for (int s = 0; s < view->n_tokens; ++s)
        CHECK(left.k.rows[static_cast<size_t>(s)].index == index_at[static_cast<size_t>(s)]);
      CHECK(view->same_next_token == twin->same_token());
    }
  }
}

TEST_CASE("hover and pin of a row say what its layer did with it") {
  Controller controller(alternating(6));
  controller.settle();
  controller.send(Pin{Target{Mode::cached, Part::k, 3, -1}});
  const auto pinned_in = [&](int layer) { return in_layer(controller, layer)->inspector.pinned.value(); };
  const Pinned ring = pinned_in(0), full = pinned_in(1);
  CHECK(ring.formula.starts_with("k[3] is not stored: the cache evicted it in decode 1"));
  CHECK(ring.reads == std::vector<std::string>{"read by queries 3–6: 4×"});
  CHECK(full.formula.ends_with("used by this and every later row"));
  CHECK(full.reads == std::vector<std::string>{"read by queries 3–11: 9×"});
  const auto has_line = [](const Pinned& pinned, const std::string& name) {
    return std::ranges::any_of(pinned.provenance, [&](const auto& line) { return line.first == name; });
  };
  CHECK(has_line(ring, "evicted after"));
  CHECK_FALSE(has_line(full, "evicted after"));
}

TEST_CASE("a poke of a row that one layer has forgotten and the next one still holds") {
  Controller controller(alternating(6));
  in_layer(controller, 0);
  controller.send(PokeRow{Part::k, 3, Poke::Action::scramble, Poke::When::now});
  auto view = controller.settle();
  REQUIRE(view->panes[0].badges.size() == 1);
  CHECK(view->panes[0].badges[0].no_effect);
  CHECK(view->panes[0].badges[0].text.find("k[3] is not stored any more, and is read 0 times") !=
        std::string::npos);
  controller.send(RestoreAll{});
  in_layer(controller, 1);
  controller.send(PokeRow{Part::k, 3, Poke::Action::scramble, Poke::When::now});
  view = controller.settle();
  CHECK_FALSE(view->panes[0].badges[0].no_effect);
  CHECK(view->panes[0].badges[0].text.find("Weight ") != std::string::npos);
}

TEST_CASE("a layer without a window below one with a window: not all of its rows are needed") {
  Controller controller(alternating(6));
  in_layer(controller, 1);  // layer 2 has a window of 4, but layer 3 reads all of its rows
  const auto all = controller.settle();
  for (const view::Row& row : all->panes[1].q.rows) CHECK(row.is != State::again_unused);
  ControllerOptions o = alternating(6);
  o.model =
      "random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=32,window=4,window_period=2,seed=3";
  Controller three(o);
  for (const Beat beat : {Beat::score, Beat::sum}) {
    three.send(GoToBeat{beat});
    const auto view = in_layer(three, 1);
    CHECK(view->panes[1].q.rows[3].is == State::again_unused);
    CHECK(view->sentence.text.find("layer 2 needs their rows") == std::string::npos);
    CHECK(view->sentence.text.find("all 12") == std::string::npos);
  }
}

TEST_CASE("two groups of layers in a step that is too large to keep whole") {
  Progress progress, whole_progress;
  Sessions sessions(progress, {.whole = 0, .rows = 0}), whole(whole_progress);
  for (const int layer : {0, 1})
    for (const int step : {0, 7}) {
      CAPTURE(layer);
      CAPTURE(step);
      Goal goal{kAlternating, kSixTokens, "eigen", step};
      goal.cache = cache_options("window");
      goal.focus = {layer, 3, 0, 40};
      const Outcome part = sessions.reach(goal), all = whole.reach(goal);
      REQUIRE(part.snapshot);
      REQUIRE(all.snapshot);
      REQUIRE_FALSE(part.snapshot->now->whole);
      const int n = all.snapshot->now->n_tokens;
      for (const Mode side : {Mode::cached, Mode::recompute}) {
        const SideData &a = part.snapshot->now->side(side), &b = all.snapshot->now->side(side);
        CHECK(a.groups == b.groups);
        for (int t = b.first_position; t < n; ++t)
          for (int s = 0; s < n; ++s) {
            REQUIRE(score_row(a, layer, 3, t, n) != nullptr);
            CHECK(score_row(a, layer, 3, t, n)[s] == score_row(b, layer, 3, t, n)[s]);
            CHECK(prob_row(a, layer, 3, t, n)[s] == prob_row(b, layer, 3, t, n)[s]);
          }
      }
    }
}

TEST_CASE("the list of caches offers the model's own window, and a script can choose it") {
  ControllerOptions o = alternating(6);
  o.cache = {};
  Controller controller(o);
  controller.send(OpenChoices{ChoiceList::caches});
  auto view = controller.settle();
  const auto own = std::ranges::find(view->caches.choices, "window:block=1", &Choice::name);
  REQUIRE(own != view->caches.choices.end());
  CHECK(own->usable);
  CHECK(own->label == "the model's window · a ring in each layer that has a window");
  RecordingHost host;
  CHECK(play(controller, "cache window:block=1\nlayer 0\nshot ring.png\nlayer 1\nshot full.png\n", host)
            .first == 0);
  CHECK(host.shots.at("ring.png").panes[0].kept == "kept after this step: Q 0 · K 3 · V 3");
  CHECK(host.shots.at("full.png").panes[0].kept == "kept after this step: Q 0 · K 12 · V 12");
  // The sizes below the list are those of other caches. They do not change the model's window.
  controller.send(OpenChoices{ChoiceList::caches});
  controller.send(ChangeCacheSize{CacheSize::rows, +1});
  view = controller.settle();
  const auto chosen = std::ranges::find_if(view->caches.choices, [](const Choice& c) { return c.selected; });
  REQUIRE(chosen != view->caches.choices.end());
  CHECK(chosen->name == "window:block=1");
}
