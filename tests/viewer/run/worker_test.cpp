// The worker: what was superseded has no outcome, and work stops wherever it is.
#include "viewer/view_model/run/worker.h"
#include "tests/viewer/stopwatch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>

using namespace lastrow;
using namespace lastrow::view;

namespace {

/// `n` tokens of a random model.
std::string long_prompt(int n) {
  std::string prompt = "a";
  for (int i = 1; i < n; ++i) prompt += " b";
  return prompt;
}

/// The longest time in seconds between a cancel and rest, over cancels at several moments of the work.
double slowest_stop(const Goal& goal) {
  double slowest = 0;
  for (const int delay_ms : {1, 20, 50, 110, 230, 420, 900}) {
    Worker worker;
    worker.want(goal);
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    REQUIRE(worker.busy());
    const Stopwatch watch;
    worker.cancel();
    worker.wait();
    slowest = std::max(slowest, watch.seconds());
  }
  MESSAGE(goal.backend << ": stops within " << 1e3 * slowest << " ms");
  return slowest;
}

}  // namespace

TEST_CASE("a superseded goal has no outcome; the newest has") {
  Worker worker;
  Goal goal{"fable-mha", "the quick brown fox", "eigen", 0, {}};
  for (int step = 1; step <= 20; ++step) {
    goal.step = step;
    worker.want(goal);
  }
  worker.wait();
  const auto outcome = worker.take();
  REQUIRE(outcome);
  REQUIRE(outcome->snapshot);
  CHECK(outcome->goal.step == 20);
  CHECK(outcome->error.empty());
  CHECK_FALSE(worker.busy());
  CHECK_FALSE(worker.take());
}

TEST_CASE("the goal that runs goes on when it is wanted again") {
  Worker worker;
  const Goal goal{"fable-mha", "the quick brown fox", "eigen", 3, {}};
  worker.want(goal);
  worker.want(goal);
  worker.cancel();
  worker.want(goal);  // it was cancelled, so it starts again
  worker.wait();
  const auto outcome = worker.take();
  REQUIRE(outcome);
  CHECK(outcome->snapshot);
}

TEST_CASE("work stops within 100 ms, in any operation of any backend") {
  // All of it takes minutes. One operation of it takes much longer than 100 ms.
  const std::string large = "random:layers=4,q_heads=16,kv_heads=4,head_dim=32,vocab=512,context=4096,seed=2";
  CHECK(slowest_stop({"fable-mha", "the", "cuda-emulated", 253, {}}) < 0.1);
  for (const char* backend : {"eigen", "naive", "naive-f64", "cuda-emulated", "cuda-emulated:k12"})
    CHECK(slowest_stop({large, long_prompt(4000), backend, 0, {}}) < 0.1);
}

TEST_CASE("work that loads a model stops within 100 ms") {
  const std::string wide = "random:layers=8,q_heads=16,kv_heads=16,head_dim=64,vocab=4096,context=64,seed=2";
  CHECK(slowest_stop({wide, "a b c", "eigen", 60, {}}) < 0.1);
}
