// The sessions without a controller: cancelling them.
#include "viewer/view_model/run/sessions.h"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("a cancel stops the measuring of times, too") {
  const Goal goal{"random:layers=4,q_heads=4,kv_heads=4,head_dim=32,vocab=64,context=400,seed=3",
                  "a b c",
                  "eigen",
                  150,
                  {}};
  const auto now = [] { return std::chrono::steady_clock::now(); };
  using Seconds = std::chrono::duration<double>;
  Progress whole_progress, progress;
  Sessions whole_sessions(whole_progress), sessions(progress);
  auto start = now();
  REQUIRE(whole_sessions.reach(goal).snapshot);
  const Seconds whole = now() - start;
  std::atomic<bool> measuring = false;
  std::thread user([&] {
    while (progress.get().first.find("Measuring") == std::string::npos)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    measuring = true;
    start = now();
    progress.stop = true;
  });
  const Outcome outcome = sessions.reach(goal);
  const auto end = now();
  user.join();
  CHECK(measuring);
  CHECK(outcome.cancelled);
  CHECK_FALSE(outcome.snapshot);
  CHECK(Seconds(end - start).count() < whole.count() / 5);  // measuring takes about half of the whole
  progress.stop = false;
  CHECK(sessions.reach(goal).snapshot->now->step == 150);
}
