#include "lessons/lesson_run.h"

using namespace lastrow::testing;

namespace {
const std::string kLesson02 = "lesson_02_the_causal_mask";
}

TEST_CASE("lesson 2: the mask keeps old rows to the bit, and without it layers above 0 go stale") {
  const LessonRun run = check_lesson(kLesson02);
  CHECK(run.verdict(2) == "holds if");
  CHECK(run.figure("zero_weights") == 4 * 4 * 8);    // old rows · layers · heads
  CHECK(run.figure("old_weights") == 10 * 4 * 8);    // (query, old key) pairs of four rows
  CHECK(run.figure("rows_compared") == 3 * 4 * 4);   // K, V and hidden · tokens · layers
  CHECK(run.figure("rows_same_bits") == 3 * 4 * 4);  // naive: every one
  CHECK(run.figure("cached_logits_off") == 0);
  CHECK(run.figure("stale_k_layer_0") == 0);
  for (const std::string layer : {"1", "2", "3"}) {
    CHECK(run.figure("stale_k_layer_" + layer) > 0.01);
    CHECK(run.figure("stale_k_layer_" + layer) < 2);
  }
  CHECK(run.figure("unmasked_cached_logits_off") > 0.01);
}

TEST_CASE("lesson 2 shows the head that the script of the viewer shows") {
  const Folder folder("lesson_02_head");
  const Outcome o = shell(folder, kLessons + kLesson02);
  CHECK(o.out.find("layer 3, head 1:") != std::string::npos);
  const std::string script = read_text(std::string(LASTROW_SOURCE_DIR) + "/lessons/scripts/02.txt");
  CHECK(script.find("layer last\nhead 1\n") != std::string::npos);
}

TEST_CASE(
    "lesson 2: a module without a mask is right for one token per call, wrong for a prompt from row 0 on") {
  const LessonRun run = check_lesson(kLesson02);
  CHECK(run.verdict(28) == "holds if");
  CHECK(run.figure("one_a_call_off") == 0);
  CHECK(run.figure("first_wrong_row") == 0);
  CHECK(run.figure("prompt_logits_off") > 0.01);
}

TEST_CASE("lesson 2 holds on other backends and models: up to rounding if sums run in another order") {
  check_lesson(kLesson02, "--backend eigen");
  check_lesson(kLesson02, "--backend naive-f64");
  check_lesson(kLesson02, "--model fable-mqa");
  const LessonRun run = check_lesson(kLesson02, "--model random:layers=1,q_heads=4,kv_heads=2,head_dim=16");
  for (const int of_layers_above : {2, 28}) CHECK(run.verdict(of_layers_above) == "no finding");
}

TEST_CASE("lesson 2 objects to a mask aligned top-left, to wrong positions and to a length counted early") {
  check_objects(kLesson02, "mask-top-left");
  check_objects(kLesson02, "position-zero");
  check_objects(kLesson02, "early-length");
}
