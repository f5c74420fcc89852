#include <cmath>

#include "lessons/lesson_run.h"

using namespace lastrow::testing;

namespace {
const std::string kLesson03 = "lesson_03_recompute_or_cache";
}  // namespace

TEST_CASE("lesson 3: rows are counted, and are those of the formula") {
  const LessonRun run = check_lesson(kLesson03);
  CHECK(run.verdict(5) == "holds");
  CHECK(run.figure("rows_without") == 36);  // 8 · 9 / 2
  CHECK(run.figure("rows_with") == 8);
  CHECK(run.figure("rows_without_from_prompt") == 72);  // 4 + 5 + … + 12
  CHECK(run.figure("rows_with_from_prompt") == 12);
  CHECK(run.figure("largest_relative_difference") < 1e-4);

  CHECK(run.verdict(6) == "holds");
  const std::pair<const char*, double> exponents[] = {
      {"matrices_step_with", 0},      {"matrices_step_without", 1},   {"matrices_in_all_with", 1},
      {"matrices_in_all_without", 2}, {"attention_step_with", 1},     {"attention_step_without", 2},
      {"attention_in_all_with", 2},   {"attention_in_all_without", 3}};
  for (const auto& [name, expected] : exponents) {
    CAPTURE(name);
    CHECK(std::abs(run.figure(name) - expected) < 0.12);
  }
  CHECK(run.figure("time_attention_ratio") > 3);
  CHECK(run.figure("time_ordinary_ratio") > 3);
  const bool like_flop = std::abs(run.figure("time_attention_without") - 2) < 0.3 &&
                         std::abs(run.figure("time_attention_with") - 1) < 0.3;
  CHECK((run.measured(6).find("These times do not grow like the flop") == std::string::npos) == like_flop);

  CHECK(run.verdict(7) == "holds if");
  CHECK(run.figure("append_bytes") == 64 * 4 * 2 * 8 * 16 * 4);  // tokens · layers · K, V · heads · dim · f32
  CHECK(run.figure("concatenate_bytes") == 64 * 65 / 2 * 4 * 2 * 8 * 16 * 4);
  CHECK(std::abs(run.figure("concatenate_exponent") - 2) < 0.12);

  CHECK(run.verdict(24) == "wrong");
  CHECK(run.figure("first_step_flop_ratio") == 1);
  CHECK(run.verdict(27) == "wrong");
  CHECK(run.figure("bytes_ratio") > 1);
  CHECK(run.figure("intensity_with") < run.figure("intensity_without") / 4);
  CHECK(std::abs(run.figure("scratch_exponent") - 1) < 0.05);
}

TEST_CASE("lesson 3 draws what each step computes and reads") {
  const Folder folder("lesson_03_text");
  const Outcome o = shell(folder, kLessons + kLesson03);
  CHECK(o.exit_code == 0);
  CHECK(o.out.find("  2      ● ● ● · · · · ·     3  ○ ○ ● · · · · ·     1\n") != std::string::npos);
  CHECK(o.out.find("  times  8 7 6 5 4 3 2 1        1 1 1 1 1 1 1 1\n") != std::string::npos);
}

TEST_CASE("lesson 3 runs on a model of grouped heads, with another backend") {
  const LessonRun run = check_lesson(kLesson03, "--model fable-mqa --backend naive");
  CHECK(run.figure("append_bytes") == 64 * 4 * 2 * 1 * 16 * 4);
  CHECK(run.figure("largest_relative_difference") == 0);  // naive: the same bits
}

TEST_CASE("lesson 3 objects to rows left by a reset, to a mask aligned top-left and to a window too short") {
  check_objects(kLesson03, "stale-rows");
  check_objects(kLesson03, "mask-top-left");
  check_objects(kLesson03, "window-short");
}
