#include <cmath>

#include "lessons/lesson_run.h"

using namespace lastrow::testing;

namespace {
const std::string kLesson07 = "lesson_07_mha_gqa_mqa";
}

TEST_CASE("lesson 7: caches are smaller by n_q_heads / n_kv_heads; here quality hardly changes") {
  const LessonRun run = check_lesson(kLesson07);
  CHECK(run.verdict(15) == "holds");
  CHECK(run.figure("bytes_fable-mha") == 2 * 4 * 8 * 16 * 256 * 2);
  CHECK(run.figure("bytes_fable-gqa") * 4 == run.figure("bytes_fable-mha"));
  CHECK(run.figure("bytes_fable-mqa") * 8 == run.figure("bytes_fable-mha"));
  const std::pair<const char*, double> released[] = {{"llama-3-70b", 8}, {"gpt-2", 1},    {"mistral-7b", 4},
                                                     {"falcon-7b", 71},  {"gemma-2b", 8}, {"gemma-7b", 1},
                                                     {"gemma-2-9b", 2}};
  for (const auto& [name, times] : released) {
    CAPTURE(name);
    CHECK(run.figure(std::string("shrinks_") + name) == times);
  }

  CHECK(run.verdict(16) == "holds if");
  CHECK(run.figure("params_fable-mha") - run.figure("params_fable-gqa") == 2 * 4 * 96 * 6 * 16);
  for (const char* name : {"fable-mha", "fable-gqa", "fable-mqa"}) {
    CAPTURE(name);
    CHECK(run.figure(std::string("trained_excess_") + name) > 0);
    CHECK(run.figure(std::string("trained_excess_") + name) < 0.03);
    // Above the floor (1.1), and far below the loss of a model that has learned nothing: ln 311 = 5.7.
    CHECK(run.figure(std::string("early_") + name) > 1.5);
    CHECK(run.figure(std::string("early_") + name) < 4);
  }
  CHECK(run.figure("early_difference") < 0.10);
  CHECK(run.figure("trained_difference") < 0.02);
}

TEST_CASE("lesson 7 objects to K and V that are repeated before they are stored") {
  check_objects(kLesson07, "repeat-kv");
  const LessonRun run = run_lesson(kLesson07, "--fault repeat-kv");  // the copies take what sharing saves
  CHECK(run.figure("bytes_fable-gqa") == run.figure("bytes_fable-mha"));
  CHECK(run.figure("bytes_fable-mqa") == run.figure("bytes_fable-mha"));
}
