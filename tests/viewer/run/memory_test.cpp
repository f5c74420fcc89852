// What a full context costs in memory, and that it is given back.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdio>
#include <thread>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "viewer/view_model/run/worker.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

constexpr double kMB = 1e6;

/// The resident memory of this process in MB; 0 where it is not known.
double resident_mb() {
  long pages = 0, resident = 0;
  if (std::FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%ld %ld", &pages, &resident) != 2) resident = 0;
    std::fclose(f);
  }
  return static_cast<double>(resident) * 4096 / kMB;
}

/// A thread that draws holds the newest snapshot.
struct Screen {
  Worker worker;
  std::optional<Snapshot> on_show;

  void show(const Goal& goal) {
    worker.want(goal);
    worker.wait();
    Outcome outcome = *worker.take();
    REQUIRE(outcome.snapshot);
    on_show = std::move(outcome.snapshot);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // until the worker gives memory back
  }
};

int64_t snapshot_bytes(const Snapshot& s) {
  return held_bytes({s.now.get(), s.unpoked.get(), s.previous.get()});
}

}  // namespace

TEST_CASE("two steps that share memory count it once, and a written copy counts") {
  StepData a;
  a.sides[0].layers.resize(1);
  a.sides[0].layers[0].q = Floats(1000);
  StepData b = a;
  const int64_t alone = held_bytes({&a});
  CHECK(alone >= 4000);
  CHECK(held_bytes({&a, &a, nullptr}) == alone);
  CHECK(held_bytes({&a, &b}) < alone + 4000);
  b.sides[0].layers[0].q[3] = 1;
  CHECK(held_bytes({&a, &b}) >= 8000);
  CHECK(a.sides[0].layers[0].q.data()[3] == 0);
}

TEST_CASE("the data of a full context stays below the stated bound, for every built-in model") {
  for (const std::string& model : builtin_model_names()) {
    CAPTURE(model);
    Progress progress;
    Sessions sessions(progress);
    Goal goal{model, "the quick brown fox", "eigen", 1 << 20};
    const Outcome full = sessions.reach(goal);
    REQUIRE(full.snapshot);
    CHECK(full.snapshot->context_full);
    CHECK(full.snapshot->now->whole);
    goal = full.goal;
    goal.pokes = {{.what = Poke::What::k, .layer = 0, .position = 3, .when = Poke::When::since}};
    const Outcome poked = sessions.reach(goal);
    REQUIRE(poked.snapshot);
    MESSAGE(model << ": " << full.snapshot->now->n_tokens << " tokens, sessions "
                  << static_cast<double>(sessions.bytes()) / kMB << " MB, snapshot "
                  << static_cast<double>(snapshot_bytes(*full.snapshot)) / kMB << " MB, with a poke "
                  << static_cast<double>(snapshot_bytes(*poked.snapshot)) / kMB << " MB");
    CHECK(full.snapshot->previous->bytes() < full.snapshot->now->bytes() / 4);  // rows alone
    CHECK(sessions.bytes() <= Sessions::kBuiltinBytes);
    CHECK(snapshot_bytes(*poked.snapshot) <= Sessions::kBuiltinBytes);
  }
}

TEST_CASE("a full context costs less than 120 MB, and going back gives it back") {
#ifdef __GLIBC__
  malloc_trim(0);  // what earlier tests have freed
#endif
  const double empty = resident_mb();
  if (empty == 0) return;
  Screen screen;
  const Goal small{"fable-mha", "the quick brown fox", "eigen", 4};
  screen.show(small);
  const double before = resident_mb() - empty;
  Goal goal = small;
  goal.step = 250;
  screen.show(goal);
  const double full = resident_mb() - empty;
  goal.pokes = {{.what = Poke::What::k, .layer = 0, .position = 3, .when = Poke::When::since}};
  screen.show(goal);
  const double poked = resident_mb() - empty;
  screen.show(small);
  const double after = resident_mb() - empty;
  MESSAGE("above an empty process: 8 tokens " << before << " MB, 254 tokens " << full << " MB, with a poke "
                                              << poked << " MB, back at 8 tokens " << after << " MB");
  CHECK(full < 120);
  CHECK(poked < 120);
#ifndef __SANITIZE_ADDRESS__  // the sanitizer keeps freed memory for a while
  CHECK(after < before + 30);
#endif
}
