// Weights in bins: by hand, at sizes that no number of bins divides, and of a real step.
#include "viewer/view_model/describe/reduce.h"

#include <doctest/doctest.h>

#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/run/sessions.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

/// Every query spreads its weight evenly over the keys that it sees.
ReducedWeights even_weights(int n_tokens) {
  WeightReducer reducer(n_tokens);
  for (int t = 0; t < n_tokens; ++t) {
    const std::vector<float> row(static_cast<size_t>(t) + 1, 1.0f / static_cast<float>(t + 1));
    reducer.add_row(t, row.data());
  }
  return reducer.take();
}

}  // namespace

TEST_CASE("up to 64 tokens, a bin is a token") {
  WeightReducer reducer(3);
  const float first[] = {1}, last[] = {0.25f, 0, 0.75f};
  reducer.add_row(0, first);
  reducer.add_row(2, last);
  const ReducedWeights w = reducer.take();
  CHECK(w.bins == 3);
  CHECK(w.weights == std::vector<float>{1, 0, 0, 0, 0, 0, 0.25f, 0, 0.75f});
  CHECK(w.n_rows == std::vector<int>{1, 0, 1});
}

TEST_CASE("with 128 tokens, a cell is the mean of two rows and the sum of two columns") {
  WeightReducer reducer(128);
  const float two[] = {0.25f, 0.25f, 0.5f}, three[] = {0.5f, 0.25f, 0.125f, 0.125f};
  reducer.add_row(2, two);
  reducer.add_row(3, three);
  const ReducedWeights w = reducer.take();
  CHECK(w.bins == 64);
  CHECK(w.at(1, 0) == 0.625f);
  CHECK(w.at(1, 1) == 0.375f);
  CHECK(w.at(0, 0) == 0);
  CHECK(w.n_rows[1] == 2);
}

TEST_CASE("every token has one bin, and the rows of cells sum to 1") {
  for (const int n : {1, 2, 63, 64, 65, 100, 127, 129, 1000, 4096}) {
    CAPTURE(n);
    const ReducedWeights w = even_weights(n);
    CHECK(w.first(0) == 0);
    CHECK(w.first(w.bins) == n);
    for (int b = 0; b < w.bins; ++b) {
      CHECK(w.bin_of(w.first(b)) == b);
      CHECK(w.bin_of(w.first(b + 1) - 1) == b);
      CHECK(w.n_rows[static_cast<size_t>(b)] == w.first(b + 1) - w.first(b));
      double sum = 0;
      for (int c = 0; c < w.bins; ++c) {
        sum += double{w.at(b, c)};
        if (c > b) CHECK(w.at(b, c) == 0);
      }
      CHECK(sum == doctest::Approx(1).epsilon(1e-5));
    }
  }
}

TEST_CASE("a step of 100 tokens: all rows without a cache, the last row with it") {
  Progress progress;
  Sessions sessions(progress);
  const Outcome o =
      sessions.reach({"random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=100,seed=3",
                      "a b",
                      "eigen",
                      98,
                      {}});
  REQUIRE(o.snapshot);
  const StepData& step = *o.snapshot->now;
  REQUIRE(step.n_tokens == 100);
  const auto all = reduced_weights(*o.snapshot->setup, step.side(Mode::recompute), 1, 3, 100);
  const auto last = reduced_weights(*o.snapshot->setup, step.side(Mode::cached), 1, 3, 100);
  REQUIRE(all);
  REQUIRE(last);
  for (int b = 0; b < all->bins; ++b)
    CHECK(all->n_rows[static_cast<size_t>(b)] == all->first(b + 1) - all->first(b));
  CHECK(last->n_rows[62] == 0);
  CHECK(last->n_rows[63] == 1);
  const float* row = prob_row(step.side(Mode::cached), 1, 3, 99, 100);
  double sum = 0;
  for (int s = last->first(10); s < last->first(11); ++s) sum += double{row[s]};
  CHECK(double{last->at(63, 10)} == doctest::Approx(sum).epsilon(1e-5));
}
