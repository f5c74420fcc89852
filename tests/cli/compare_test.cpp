// The comparison of `generate --mode both`, on handmade runs.
#include <doctest/doctest.h>

#include "cli/generation.h"

using namespace lastrow;
using namespace lastrow::cli;

namespace {

/// A run over a vocabulary of two.
ModeRun make_run(std::vector<int32_t> tokens, std::vector<float> logits) {
  ModeRun run;
  run.tokens = std::move(tokens);
  run.logits = std::move(logits);
  return run;
}

}  // namespace

TEST_CASE("equal tokens: all logits are compared") {
  const Comparison c =
      compare(make_run({1, 0, 1}, {0, 1, 2, 0, 0, 3}), make_run({1, 0, 1}, {0, 1, 2, 0, 0.5f, 3}));
  CHECK(c.tokens_equal);
  CHECK(c.n_equal == 3);
  CHECK(c.max_abs_logit_diff == 0.5f);
}

TEST_CASE("a token differs: the logits that it was chosen from are the last to be compared") {
  // In the second step the choice differs by a tiny margin. So the third step had another input, and its
  // logits do not count.
  const Comparison c =
      compare(make_run({1, 0, 1}, {0, 1, 2, 1.75f, 0, 90}), make_run({1, 1, 0}, {0, 1, 1.75f, 2, 70, 0}));
  CHECK_FALSE(c.tokens_equal);
  CHECK(c.n_equal == 1);
  CHECK(c.max_abs_logit_diff == 0.25f);
}

TEST_CASE("one run is longer: not equal, and what both have is compared") {
  const Comparison c = compare(make_run({1}, {0, 1}), make_run({1, 0}, {0, 2, 5, 0}));
  CHECK_FALSE(c.tokens_equal);
  CHECK(c.n_equal == 1);
  CHECK(c.max_abs_logit_diff == 1.0f);
}

TEST_CASE("a total adds up the steps and ends where the last one ended") {
  ModeRun run;
  for (int32_t i = 1; i <= 3; ++i) {
    StepRecord step;
    step.position = i;
    step.q_rows = step.kv_rows_projected = step.score_cells = step.cache_bytes_read =
        step.cache_bytes_written = step.kv_scratch_bytes = step.weight_bytes = step.flop = i;
    step.wall_us = i;
    run.steps.push_back(step);
  }
  const StepRecord sum = total(run.steps);
  CHECK(sum.position == 3);
  for (const int64_t n : {sum.q_rows, sum.kv_rows_projected, sum.score_cells, sum.cache_bytes_read,
                          sum.cache_bytes_written, sum.kv_scratch_bytes, sum.weight_bytes, sum.flop})
    CHECK(n == 6);
  CHECK(sum.wall_us == 6);
}
