#include "lessons/lesson_run.h"

using namespace lastrow::testing;

namespace {
const std::string kLesson09 = "lesson_09_numerics";
}

TEST_CASE(
    "lesson 9: the same order gives the same bits; otherwise a bound holds, and bugs are far beyond it") {
  const LessonRun run = check_lesson(kLesson09);
  CHECK(run.verdict(23) == "holds if");
  CHECK(run.figure("naive_same_steps") == 21);
  CHECK(run.figure("logits") == 21 * 219);        // steps · vocabulary
  CHECK(run.figure("logits_that_differ") > 219);  // eigen: another order
  CHECK(run.figure("bound") > 1e-7);
  CHECK(run.figure("bound") < 1e-3);
  CHECK(run.figure("cached_of_bound") <= 1);
  CHECK(run.figure("recompute_of_bound") <= 1);
  for (const std::string bug : {"window-short", "position-zero", "offset-twice", "scale-twice"})
    CHECK(run.figure("beyond_" + bug) > 1000);
}

TEST_CASE("lesson 9: a near-tie may flip, on this machine or not, and only below twice the bound") {
  const LessonRun run = check_lesson(kLesson09);
  CHECK(run.figure("margin") > 0);
  CHECK(run.figure("margin") < 1e-6);  // of the judge: the same on every machine
  CHECK(run.figure("margin") < 2 * run.figure("tie_bound"));
  const double flips = run.figure("cache_flips");
  CHECK((flips == 0 || flips == 1));
  CHECK(run.figure("orders_that_flip") > 0);  // of naive's, whose sums are the same everywhere
  CHECK(run.figure("orders_that_flip") < 16);
}

TEST_CASE("lesson 9 holds on naive, where nothing differs, and for another model") {
  CHECK(check_lesson(kLesson09, "--backend naive").figure("logits_that_differ") == 0);
  check_lesson(kLesson09, "--model random:layers=2,q_heads=4,kv_heads=2,head_dim=16");
}

TEST_CASE("lesson 9 objects to a scale applied twice, although cached and recomputed logits agree") {
  check_objects(kLesson09, "scale-twice");
  check_objects(kLesson09, "window-short");
}
