// The step under the roofline: which roof limits it, how much of it is reached, and when no figure is shown.
#include "viewer/view_model/describe/roofline.h"

#include <doctest/doctest.h>

using namespace lastrow;
using namespace lastrow::view;

namespace {

/// Roofs with round numbers: peak 100 Gflop/s, 10 GB/s from memory, 50 GB/s from the caches. Both sides move
/// 1 MB: 0.5 flop per byte with the cache, 20 without.
Snapshot round_numbers(TimesMean times = TimesMean::cpu_speed) {
  Snapshot snapshot;
  auto setup = std::make_shared<Setup>();
  setup->times = times;
  snapshot.setup = setup;
  auto step = std::make_shared<StepData>();
  step->timed = true;
  step->sides[0].record.weight_bytes = step->sides[1].record.weight_bytes = 1'000'000;
  step->sides[0].record.flop = 500'000;
  step->sides[1].record.flop = 20'000'000;
  step->sides[0].wall_us = 50;   // 10 Gflop/s of 25: 40 %
  step->sides[1].wall_us = 400;  // 50 Gflop/s of 100: 50 %
  snapshot.now = snapshot.unpoked = step;
  MachineRoof roof;
  roof.n_threads = 2;
  roof.peak_gflops = 100;
  roof.small_gbps = 50;
  roof.large_gbps = 10;
  roof.small_bytes = 1 << 20;
  roof.large_bytes = 64 << 20;
  snapshot.roof = std::make_shared<const MachineRoof>(roof);
  return snapshot;
}

std::shared_ptr<StepData> changed(const Snapshot& snapshot) {
  return std::make_shared<StepData>(*snapshot.unpoked);
}

}  // namespace

TEST_CASE("the cached step is limited by reading; the sentence says how much of its roof it reaches") {
  const RooflinePicture picture = roofline_picture(round_numbers());
  CHECK(picture.measured);
  CHECK(picture.sentence ==
        "The cached step does 0.50 flop per byte: reading is its limit, not arithmetic. It reaches 40% of "
        "its roof; "
        "the step without a cache reaches 50%.");
  CHECK(picture.peak_label == "peak 100 Gflop/s");
  CHECK(picture.ridge_label == "ridge 2.0");
  REQUIRE(picture.roofs.size() == 2);
  CHECK(picture.roofs[0].label == "caches 50 GB/s");
  CHECK(picture.roofs[0].limits);
  CHECK(picture.roofs[1].label == "memory 10 GB/s");
  CHECK_FALSE(picture.roofs[1].limits);
}

TEST_CASE("no point lies above its roof when it is slower, and equal speed means equal height") {
  const RooflinePicture picture = roofline_picture(round_numbers());
  REQUIRE(picture.points[0]);
  REQUIRE(picture.points[1]);
  CHECK(picture.points[0]->x < picture.ridge_x);
  CHECK(picture.points[1]->x > picture.ridge_x);
  CHECK(picture.points[0]->y < picture.points[1]->y);
  CHECK(picture.points[1]->y < picture.ridge_y);
  for (const RoofLine& roof : picture.roofs)
    for (const auto& [x, y] : roof.corners) {
      CHECK((x >= -1e-5f && x <= 1 + 1e-5f));
      CHECK((y >= -1e-5f && y <= 1 + 1e-5f));
    }
  // Both roofs end at the same peak.
  CHECK(picture.roofs[0].corners.back() == picture.roofs[1].corners.back());
}

TEST_CASE("a step that moves many bytes is compared with memory") {
  Snapshot snapshot = round_numbers();
  auto step = changed(snapshot);
  step->sides[0].record.weight_bytes = 1'000'000'000;
  step->sides[0].record.flop = 500'000'000;
  snapshot.unpoked = step;
  CHECK(roofline_picture(snapshot).roofs[1].limits);
}

TEST_CASE("a backend that is not meant to reach the roof is not blamed, a GPU is not compared with the CPU") {
  CHECK(roofline_picture(round_numbers(TimesMean::plain_loops))
            .sentence.ends_with("naive is written for readers and is not meant to reach it."));
  CHECK(roofline_picture(round_numbers(TimesMean::emulation))
            .sentence.ends_with("the emulator checks GPU kernels and is not meant to reach it."));
  const RooflinePicture gpu = roofline_picture(round_numbers(TimesMean::gpu_speed));
  CHECK(gpu.sentence.ends_with("It ran on the GPU, whose roof is not measured here."));
  CHECK(gpu.sentence.find('%') == std::string::npos);
  CHECK_FALSE(gpu.points[0]);
  CHECK_FALSE(gpu.points[1]);
}

TEST_CASE("without a measurement nothing is drawn, and the reason is said") {
  Snapshot snapshot = round_numbers();
  auto step = changed(snapshot);
  step->timed = false;
  snapshot.unpoked = step;
  CHECK_FALSE(roofline_picture(snapshot).points[0]);
  CHECK(roofline_picture(snapshot).sentence.ends_with("so no point is drawn."));
  MachineRoof failed;
  failed.error = "thread 2 of 2 cannot be started";
  snapshot.roof = std::make_shared<const MachineRoof>(failed);
  CHECK_FALSE(roofline_picture(snapshot).measured);
  CHECK(roofline_picture(snapshot).sentence ==
        "The roofs were not measured: thread 2 of 2 cannot be started");
  snapshot.roof.reset();
  CHECK(roofline_picture(snapshot).sentence == "The roofs of this machine are not measured yet.");
}
