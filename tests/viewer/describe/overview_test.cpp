// The overview of a long text: what its cells stand for.
#include "viewer/view_model/describe/overview.h"

#include <doctest/doctest.h>

#include <cmath>

#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/run/sessions.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

Snapshot snapshot_at(int step) {
  Progress progress;
  Sessions sessions(progress);
  return *sessions.reach({"fable-mha", "the quick brown fox", "eigen", step}).snapshot;
}

}  // namespace

TEST_CASE("34 tokens: each cell is one weight, and the cached side has only the last row") {
  const Snapshot s = snapshot_at(30);
  const Selection at{.layer = 3, .head = 0};
  const Overview right = build_overview(s, Mode::recompute, at), left = build_overview(s, Mode::cached, at);
  REQUIRE(right.bins == 34);
  const float* row = prob_row(s.now->side(Mode::recompute), 3, 0, 20, 34);
  for (size_t key = 0; key < 34; ++key) CHECK(right.weights[20 * 34 + key] == doctest::Approx(row[key]));
  for (size_t i = 0; i < 33 * 34; ++i) CHECK(left.weights[i] == 0);
  CHECK(left.rows[20] == State::absent);
  CHECK(left.rows[33] == State::computed_now);
  CHECK(right.rows[20] == State::again_unused);
}

TEST_CASE("100 tokens in 64 cells: a row of cells adds up to 1, and a value is the largest of its bin") {
  const Snapshot s = snapshot_at(96);
  const Overview o = build_overview(s, Mode::recompute, {.layer = 2, .head = 4});
  REQUIRE(o.bins == 64);
  CHECK(o.rows[10] == State::again_needed);  // the layer above needs it
  for (int row = 0; row < 64; ++row) {
    double sum = 0;
    for (int column = 0; column < 64; ++column) {
      const float w = o.weights[static_cast<size_t>(row * 64 + column)];
      sum += double{w};
      if (column > row) CHECK(w == 0);  // masked
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-4));
    for (int d = 0; d < o.head_dim; ++d)
      for (int position = o.first_token(row); position < o.first_token(row + 1); ++position) {
        const float x = k_row(*s.setup, s.now->side(Mode::recompute), 2, 4, position)[d];
        CHECK(std::fabs(x) <= std::fabs(o.k[static_cast<size_t>(row * o.head_dim + d)]));
      }
  }
}

TEST_CASE("an overview is kept until step, layer, head or beat change") {
  const Snapshot s = snapshot_at(30);
  OverviewCache cache;
  const Selection at{.layer = 3, .head = 0};
  const auto first = cache.get(s, Mode::recompute, at);
  CHECK(cache.get(s, Mode::recompute, at) == first);
  CHECK(cache.get(s, Mode::recompute, {.layer = 3, .head = 1}) != first);
}
