#include <cmath>

#include "lessons/lesson_run.h"
#include "lessons/support/measure.h"

using namespace lastrow::testing;

namespace {
const std::string kLesson06 = "lesson_06_prefill_and_decode";
}

TEST_CASE("lesson 6: prefill lies right of the ridge, decode left of it") {
  const LessonRun run = check_lesson(kLesson06);
  CHECK(run.verdict(10) == (lastrow::lessons::kFastBuild ? "holds if" : "no finding"));
  CHECK(run.figure("ridge") == doctest::Approx(run.figure("peak_gflops") / run.figure("read_gbps")));
  // Two flop with each f32 weight, and little else.
  CHECK(std::abs(run.figure("intensity_first") - 0.5) < 0.02);
  CHECK(std::abs(run.figure("intensity_decode") - 0.5) < 0.02);
  CHECK(run.figure("intensity_prefill") > run.figure("ridge"));
  CHECK(run.figure("intensity_decode_batched") > 4 * run.figure("intensity_decode"));
}

TEST_CASE("lesson 6: a batch raises the weights' intensity, grouping that of attention") {
  const LessonRun run = run_lesson(kLesson06);
  CHECK(run.figure("weights_rise") > 12);
  CHECK(run.figure("weights_rise") < 16);
  CHECK(run.figure("attention_rise") == doctest::Approx(1).epsilon(1e-9));
  CHECK(run.figure("grouping_rise") > 3);
  CHECK(run.figure("grouping_rise") < 4);
  CHECK(run.figure("batch_difference") < 1e-4);
}

TEST_CASE("lesson 6 runs on a built-in model") {
  const LessonRun run = check_lesson(kLesson06, "--model fable-gqa");
  CHECK(run.figure("batch_difference") < 1e-4);
}

TEST_CASE("lesson 6 objects to K and V that are repeated before they are stored") {
  check_objects(kLesson06, "repeat-kv");
}
