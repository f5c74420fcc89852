#include "lessons/lesson_run.h"

using namespace lastrow::testing;

namespace {
const std::string kLesson04 = "lesson_04_why_not_queries";
}

TEST_CASE("lesson 4: a past query matters only where it is needed to compute K and V of the next layer") {
  const LessonRun run = check_lesson(kLesson04);
  CHECK(run.verdict(1) == "holds if");
  CHECK(run.figure("one_layer_pokes") == 6 * 4 * 2 * 2);  // positions · noises · masks · sides
  CHECK(run.figure("one_layer_unnoticed") == 96);
  CHECK(run.figure("recompute_moved_layer_0") > 1e-3);
  CHECK(run.figure("recompute_moved_layer_2") > 1e-4);
  CHECK(run.figure("recompute_moved_layer_3") == 0);
  CHECK(run.figure("sides_apart") < 1e-5);
  CHECK(run.verdict(9) == "holds if");
  CHECK(run.figure("tokens") == 12);
  CHECK(run.figure("mlp_rows_layer_0_cached") == 1);
  CHECK(run.figure("mlp_rows_layer_0_recompute") == 12);
}

TEST_CASE("lesson 4: keys and values do not change, every value has a share, and no query is read twice") {
  const LessonRun run = check_lesson(kLesson04);
  CHECK(run.verdict(3) == "holds if");
  CHECK(run.figure("stored_rows") == 2 * 4 * 12);  // K and V · layers · tokens
  CHECK(run.figure("stored_rows_one_version") == 96);
  CHECK(run.figure("recomputed_kv_moved") < 1e-5);
  CHECK(run.figure("same_token_elsewhere_k") > 0.01);
  CHECK(run.verdict(25) == "holds if");
  CHECK(run.figure("k3_moved_layer_0") == 0);
  for (const std::string layer : {"1", "2", "3"}) CHECK(run.figure("k3_moved_layer_" + layer) > 0.01);
  CHECK(run.verdict(4) == "holds");
  CHECK(run.figure("values_with_weight") == 4 * 8);  // past values · heads
  CHECK(run.figure("value_error") < 1e-5);
  CHECK(run.verdict(26) == "wrong");
  CHECK(run.figure("reads_of_q") == 1);
  CHECK(run.figure("reads_of_k0") == 12);
  CHECK(run.figure("reads_of_k3") == 9);
  CHECK(run.figure("q3_moved") < 1e-5);
}

TEST_CASE("lesson 4 says which rows a step computes, and which rows of K and V it only reads") {
  const Folder folder("lesson_04_rows");
  const Outcome o = shell(folder, kLessons + kLesson04);
  CHECK(o.out.find("  must compute  cache: Q  K, V  MLP  no cache: Q  K, V  MLP\n") != std::string::npos);
  CHECK(o.out.find("reads 12 rows of K and") != std::string::npos);
  CHECK(o.out.find("96 of 96 runs (6 rows · 4 noises · 4 columns)") != std::string::npos);
}

TEST_CASE("lesson 4 holds on other backends and models") {
  check_lesson(kLesson04, "--backend naive");
  check_lesson(kLesson04, "--model fable-mqa");
  const LessonRun run = check_lesson(kLesson04, "--model random:layers=1,q_heads=4,kv_heads=2,head_dim=16");
  for (const int of_layers_above : {1, 9, 25}) CHECK(run.verdict(of_layers_above) == "no finding");
  CHECK(run.verdict(4) == "holds");
}

TEST_CASE(
    "lesson 4 objects to a length counted early, to a window too short, and to rows that a reset left") {
  check_objects(kLesson04, "early-length");
  check_objects(kLesson04, "window-short");
  check_objects(kLesson04, "stale-rows");
  check_objects(kLesson04, "offset-twice");
}
