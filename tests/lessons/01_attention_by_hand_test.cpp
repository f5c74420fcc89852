#include "lessons/lesson_run.h"

using namespace lastrow::testing;

namespace {
const std::string kLesson01 = "lesson_01_attention_by_hand";
}

TEST_CASE("lesson 1: hand, backend and model agree") {
  const LessonRun run = check_lesson(kLesson01);
  CHECK(run.figure("largest_error") < 1e-5);
  CHECK(run.figure("model_largest_error") < 1e-4);
}

TEST_CASE("lesson 1 shows the numbers that a pencil gives") {
  const Folder folder("lesson_01_text");
  const Outcome o = shell(folder, kLessons + kLesson01);
  CHECK(o.exit_code == 0);
  CHECK(o.out.find("  q[2]     0.250  0.250  0.500  (3.000, 2.000)\n") != std::string::npos);
  CHECK(o.out.find('\x1b') == std::string::npos);  // not a terminal: plain
}

TEST_CASE(
    "lesson 1 objects to a scale applied twice, to a mask aligned top-left, and to a window too short") {
  check_objects(kLesson01, "scale-twice");
  check_objects(kLesson01, "mask-top-left");
  check_objects(kLesson01, "window-short");
}
