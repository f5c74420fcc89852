#include <cmath>

#include "lessons/lesson_run.h"

using namespace lastrow::testing;

namespace {
const std::string kLesson08 = "lesson_08_what_the_cache_costs";
}

TEST_CASE("lesson 8: the formula gives the allocated bytes") {
  const LessonRun run = check_lesson(kLesson08);
  CHECK(run.verdict(11) == "holds if");
  // K, V · layers · K/V heads · head_dim · context · bytes of fable-gqa
  CHECK(run.figure("bytes_f32") == 2 * 4 * 2 * 16 * 256 * 4);
  CHECK(run.figure("bytes_f16") == 2 * 4 * 2 * 16 * 256 * 2);
  CHECK(run.figure("bytes_bf16") == 2 * 4 * 2 * 16 * 256 * 2);
  CHECK(run.figure("bytes_fp8") == 2 * 4 * 2 * 16 * 256);
  CHECK(run.figure("bytes_int8") == 2 * 4 * 2 * (16 + 4) * 256);
  CHECK(run.figure("blocks_over_formula_17") == 32.0 / 17);
}

TEST_CASE("lesson 8: one of three common figures is right") {
  const LessonRun run = run_lesson(kLesson08);
  CHECK(run.verdict(12) == "holds");
  CHECK(run.figure("gb_seven") == 1.073741824);
  CHECK(run.verdict(13) == "wrong");
  CHECK(std::abs(run.figure("gb_seven_large") - 274.9) < 0.05);
  CHECK(run.figure("gb_seven_grouped") * 1e9 == 32 * std::pow(2, 30));
  CHECK(run.verdict(14) == "wrong");
  CHECK(std::abs(run.figure("gb_seventy") - 85.9) < 0.05);
  CHECK(std::abs(run.figure("gb_seventy_told") - 34.4) < 0.05);
  CHECK(std::abs(run.figure("gb_seventy_all") - 274.9) < 0.05);
}

TEST_CASE("lesson 8 says that the 7B model has no context of 8,192 tokens") {
  const Folder folder("lesson_08_context");
  const Outcome o = shell(folder, kLessons + kLesson08);
  CHECK(o.out.find("(Llama-2-7B has a context of 4,096 tokens.") != std::string::npos);
}

TEST_CASE("lesson 8: when the cache is larger than the weights") {
  const LessonRun run = run_lesson(kLesson08);
  CHECK(run.verdict(22) == "holds if");
  CHECK(run.figure("llama_2_7b_crossing_context") == 25706);
  CHECK(run.figure("crossing_batch_here") == 6);
  CHECK(run.figure("presets_crossing_within_64") >= 10);
}

TEST_CASE("lesson 8 runs on other models and on the judge, which stores f64") {
  CHECK(check_lesson(kLesson08, "--model fable-mqa").figure("bytes_f16") == 2 * 4 * 1 * 16 * 256 * 2);
  check_lesson(kLesson08, "--model random:layers=2,q_heads=4,kv_heads=2,head_dim=32");
  CHECK(check_lesson(kLesson08, "--backend naive-f64").figure("bytes_f32") == 2 * 4 * 2 * 16 * 256 * 8);
}

TEST_CASE("lesson 8 objects to K and V that are repeated before they are stored") {
  check_objects(kLesson08, "repeat-kv");
}
