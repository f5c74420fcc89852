// From a snapshot to a view state: values that are not finite, and how long it takes.
#include "viewer/view_model/describe/view.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "viewer/view_model/run/sessions.h"
#include "viewer/view_model/state/state_json.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("a NaN is reported where it stands and upsets nothing else") {
  Progress progress;
  Sessions sessions(progress);
  Outcome outcome =
      sessions.reach({"random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=12,seed=3",
                      "a b c",
                      "eigen",
                      2,
                      {}});
  REQUIRE(outcome.snapshot);
  Snapshot snapshot = *outcome.snapshot;
  auto broken = std::make_shared<StepData>(*snapshot.now);
  LayerData& l = broken->sides[0].layers[1];
  l.k[0] = std::numeric_limits<float>::quiet_NaN();  // position 0, K/V head 0
  l.q[8] = std::numeric_limits<float>::infinity();   // the one row of head 1
  broken->sides[0].logits[7] = std::numeric_limits<float>::quiet_NaN();
  snapshot.now = snapshot.unpoked = broken;
  ViewState view;
  OverviewCache overviews;
  fill_view(snapshot, {.layer = 1, .head = 1}, view, overviews);
  CHECK(view.panes[0].k.rows[0].not_finite);
  CHECK_FALSE(view.panes[0].k.rows[1].not_finite);
  CHECK(view.panes[0].q.rows[4].not_finite);
  CHECK_FALSE(view.panes[1].k.rows[0].not_finite);
  CHECK(view.panes[0].k.rows[0].repeat != Repeat::same_bits);
  CHECK(view.next[0].top[0].id != 7);
  CHECK(to_json(view).find("\"NaN\"") != std::string::npos);
}

TEST_CASE("weights that are NaN come last in the worked example") {
  Progress progress;
  Sessions sessions(progress);
  Snapshot snapshot = *sessions.reach({"fable-mha", "the quick brown fox", "eigen", 30}).snapshot;
  auto broken = std::make_shared<StepData>(*snapshot.now);
  LayerData& l = broken->sides[0].layers[3];
  std::vector<float> probs(static_cast<const std::vector<float>&>(l.probs));
  for (size_t s = 0; s < 34; s += 2) probs[s] = std::numeric_limits<float>::quiet_NaN();  // head 0
  Floats changed(static_cast<int64_t>(probs.size()));
  std::copy(probs.begin(), probs.end(), changed.own());
  l.probs = changed;
  snapshot.now = snapshot.unpoked = broken;
  ViewState view;
  OverviewCache overviews;
  fill_view(snapshot, {.layer = 3, .head = 0, .room = 12}, view, overviews);
  REQUIRE(view.inspector.example.keys.size() == 5);
  for (size_t i = 0; i < 4; ++i) CHECK(std::isfinite(view.inspector.example.keys[i].share));
}

TEST_CASE("the view state of 32 tokens is made in less than 4 ms") {
  Progress progress;
  Sessions sessions(progress);
  Outcome outcome = sessions.reach({"fable-mha", "the quick brown fox", "eigen", 28, {}});
  REQUIRE(outcome.snapshot);
  REQUIRE(outcome.snapshot->now->n_tokens == 32);
  OverviewCache overviews;
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ViewState view;
    fill_view(*outcome.snapshot, {.layer = 3, .head = 1}, view, overviews);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  MESSAGE("view state of 32 tokens: " << best << " ms");
  CHECK(best < 4.0);
}
