// The sessions without a controller: cancelling them, and other kinds of caches.
#include "viewer/view_model/run/sessions.h"

#include <doctest/doctest.h>

#include <chrono>
#include <set>
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

TEST_CASE("with blocks the panes show the same values, and each row in its slot") {
  Goal goal{"random:layers=2,q_heads=4,kv_heads=2,head_dim=4,vocab=64,context=24",
            "t1 t2 t3 t4 t5",
            "naive",
            6,
            {}};
  Progress progress;
  Sessions sessions(progress);
  const Outcome contiguous = sessions.reach(goal);
  REQUIRE(contiguous.snapshot);
  goal.cache = cache_options("paged:block=4");
  const Outcome paged = sessions.reach(goal);
  REQUIRE(paged.snapshot);
  CHECK(paged.snapshot->setup->cache == goal.cache);
  CHECK(paged.snapshot->history == contiguous.snapshot->history);
  const SideData &one = contiguous.snapshot->now->side(Mode::cached),
                 &blocks = paged.snapshot->now->side(Mode::cached);
  CHECK(blocks.logits == one.logits);
  const HeldRows& rows = blocks.held(0);
  REQUIRE(rows.keys.size() == 11);
  CHECK(rows.kept == rows.keys);
  std::set<int64_t> slots;
  for (size_t i = 0; i < 11; ++i) {
    CHECK(rows.keys[i].position == static_cast<int32_t>(i));
    CHECK(rows.keys[i].slot % 4 == static_cast<int64_t>(i) % 4);
    slots.insert(rows.keys[i].slot);
  }
  CHECK(slots.size() == 11);
  for (const auto part : {&LayerData::k, &LayerData::v})
    for (size_t i = 0; i < (one.layers[1].*part).size(); ++i)
      CHECK((blocks.layers[1].*part).data()[i] == (one.layers[1].*part).data()[i]);

  // A narrow type rounds what the left side reads, and only that.
  goal.cache = cache_options("paged:block=4", "k=int8,v=f16");
  const Outcome narrow = sessions.reach(goal);
  REQUIRE(narrow.snapshot);
  const StepData& step = *narrow.snapshot->now;
  CHECK(step.side(Mode::cached).record.cache_bytes_read < blocks.record.cache_bytes_read);
  CHECK(step.side(Mode::cached).logits != step.side(Mode::recompute).logits);
}
