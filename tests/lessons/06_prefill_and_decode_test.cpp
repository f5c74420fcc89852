#include <algorithm>
#include <cmath>
#include <regex>

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
  if (run.report.at("figures").contains("prefill_faster_a_token") && lastrow::lessons::kFastBuild) {
    const bool fits = std::min(run.figure("prefill_faster_a_token"), run.figure("batch_faster_a_token")) > 1;
    CHECK((run.measured(10).find("ignore the times") == std::string::npos) == fits);
  }
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

TEST_CASE("lesson 6 explains a step that reaches more than 100 % of its roof, and only such a step") {
  const Folder folder("lesson_06_roof");
  const Outcome o = shell(folder, kLessons + kLesson06 + " --model fable-mha --no-color");
  std::smatch reached;
  const std::regex sentence("prefill reaches ([0-9]+) %\\s+of\\s+its\\s+roof,\\s+decode\\s+([0-9]+)\\s+%");
  if (!std::regex_search(o.out, reached, sentence)) return;  // this build takes no times
  const bool over = std::max(std::stoi(reached[1]), std::stoi(reached[2])) > 100;
  CHECK((o.out.find("Over 100 %") != std::string::npos) == over);
}

TEST_CASE("lesson 6 objects to K and V that are repeated before they are stored") {
  check_objects(kLesson06, "repeat-kv");
}
