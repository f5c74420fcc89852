#include "lessons/lesson_run.h"

using namespace lastrow::testing;

namespace {
const std::string kLesson05 = "lesson_05_training_and_generation";
}

TEST_CASE("lesson 5: one forward gives every loss, and the same numbers come step by step") {
  const LessonRun run = check_lesson(kLesson05);
  CHECK(run.verdict(8) == "holds");
  CHECK(run.figure("losses") == 9);
  CHECK(run.figure("mean_loss") > 0.5);
  CHECK(run.figure("mean_loss") < 3);
  CHECK(run.figure("bound") < 1e-3);
  for (const std::string who : {"trainer", "prefill", "steps"})
    CHECK(run.figure(who + "_error") <= run.figure("bound"));
}

TEST_CASE("lesson 5: training keeps Q, and the K and V that a cache would") {
  const LessonRun run = check_lesson(kLesson05);
  const double rows = 4 * 10 * 8 * 16 * 4;  // layers · tokens · heads · head_dim · bytes: MHA
  CHECK(run.figure("kept_q_bytes") == rows);
  CHECK(run.figure("kept_kv_bytes") == 2 * rows);
  CHECK(run.figure("cache_bytes") == 2 * rows);
  CHECK(run.figure("kept_bytes") > 4 * rows);
  // All weights again in each of ten steps; the embedding only by rows, but once more as the tied LM head.
  CHECK(run.figure("weight_reads_ratio") > 9);
  CHECK(run.figure("weight_reads_ratio") <= 10);
}

TEST_CASE("lesson 5 holds for grouped heads, random weights and another backend") {
  check_lesson(kLesson05, "--model fable-gqa");
  check_lesson(kLesson05, "--model random:layers=2,q_heads=4,kv_heads=2,head_dim=16");
  check_lesson(kLesson05, "--backend naive");
}

TEST_CASE("lesson 5 objects to positions that are wrong in decode") {
  check_objects(kLesson05, "position-zero");
  check_objects(kLesson05, "offset-twice");
}
