#include "lessons/lesson_run.h"

using namespace lastrow::testing;

namespace {
const std::string kLesson10 = "lesson_10_gpu_kernels";
}

TEST_CASE("lesson 10: every rung is right, and reads the cache as often as its idea says") {
  const LessonRun run = check_lesson(kLesson10);
  CHECK(run.figure("decode_rungs") >= 10);
  CHECK(run.figure("decode_k01_reads") == 4);  // once for each query head of a group
  CHECK(run.figure("decode_k05_asked_of_came") == 1);
  CHECK(run.figure("decode_k06_reads") == 1);
  CHECK(run.figure("prefill_k03_reads") == 65);  // 2 heads · (1 + 2 + … + 64) / 64
  CHECK(run.figure("prefill_k04_reads") == 5);   // 2 heads · (16 + 32 + 48 + 64) / 64
}

TEST_CASE("lesson 10 objects if the judge has a bug") { check_objects(kLesson10, "scale-twice"); }
