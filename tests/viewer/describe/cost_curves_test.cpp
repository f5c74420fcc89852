// The cost curves: sums, ratio, sentences, axes, and what is said where a time is not measured.
#include "viewer/view_model/describe/cost_curves.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "viewer/view_model/describe/cost_axis.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

StepCost a_step(int64_t flop, int64_t bytes, double us) { return {flop, bytes, us, TimeKind::once}; }

/// A prefill that costs both sides the same, then two decode steps: 10 with the cache, 30 and 50 without.
Snapshot three_steps() {
  Snapshot snapshot;
  auto setup = std::make_shared<Setup>();
  setup->model = load_model("fable-mha");
  setup->backend = "eigen";
  setup->prompt_len = 2;
  snapshot.setup = setup;
  snapshot.history = setup->model->tokenizer().encode("the quick brown fox");
  auto step = std::make_shared<StepData>();
  step->step = 2;
  snapshot.now = snapshot.unpoked = step;
  snapshot.last_step = 2;
  snapshot.costs = {std::vector{a_step(20, 1024, 100), a_step(10, 1024, 100), a_step(10, 1024, 100)},
                    std::vector{a_step(20, 1024, 100), a_step(30, 1024, 200), a_step(50, 1024, 1000)}};
  return snapshot;
}

std::vector<std::string> labels(const std::vector<AxisTick>& ticks) {
  std::vector<std::string> out;
  for (const AxisTick& t : ticks) out.push_back(t.label);
  return out;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("three steps: the sums of both sides, the ratio, and the sentence") {
  const CostCurves curves = cost_curves(three_steps(), {});
  CHECK(curves.lines[0].values == std::vector<double>{20, 30, 40});
  CHECK(curves.lines[1].values == std::vector<double>{20, 50, 100});
  CHECK(curves.lines[0].name == "with cache");
  CHECK(curves.lines[1].end_label == "100");
  CHECK(curves.ratio == "2.5×");
  CHECK(curves.caption == "After 2 steps: 40 flop with the cache, 100 without: 2.5× as much.");
  // A linear axis from 0, with a little room above the largest value.
  CHECK(curves.y.title == "flop so far");
  CHECK(labels(curves.y.ticks) == Texts{"0", "25", "50", "75", "100"});
  CHECK(curves.lines[1].heights[2] == doctest::Approx(1 / 1.04));
  CHECK(curves.lines[0].heights[2] == doctest::Approx(0.4 / 1.04));
  CHECK(labels(curves.x.ticks) == Texts{"prefill", "1", "2"});
  CHECK(curves.x_of(1) == 0.5f);
  for (const int step : {0, 1, 2}) CHECK(curves.step_at(curves.x_of(step)) == step);
  CHECK(curves.step_at(-3) == 0);
  CHECK(curves.step_at(9) == 2);
}

TEST_CASE("an earlier step is compared up to itself; the lines go on to the last step") {
  Snapshot snapshot = three_steps();
  auto earlier = std::make_shared<StepData>();
  earlier->step = 1;
  snapshot.now = snapshot.unpoked = earlier;
  CostCurves curves = cost_curves(snapshot, {});
  CHECK(curves.step == 1);
  CHECK(curves.last_step == 2);
  CHECK(curves.lines[1].now_label == "50");
  CHECK(curves.lines[1].end_label == "100");
  CHECK(curves.caption == "After 1 step: 30 flop with the cache, 50 without: 1.7× as much.");
  auto prefill = std::make_shared<StepData>();
  snapshot.now = snapshot.unpoked = prefill;
  CHECK(cost_curves(snapshot, {}).caption == "After the prefill: 20 flop with the cache and without it.");
}

TEST_CASE("bytes and times have their units and their words") {
  const CostCurves moved = cost_curves(three_steps(), {.quantity = CostQuantity::bytes});
  CHECK(moved.caption == "After 2 steps: 3.00 KiB with the cache and without it.");
  CHECK(labels(moved.y.ticks) == Texts{"0", "1 KiB", "2 KiB", "3 KiB"});
  const CostCurves time = cost_curves(three_steps(), {.quantity = CostQuantity::time});
  CHECK(time.caption == "After 2 steps: 300 µs with the cache, 1.30 ms without: 4.3× as long.");
  CHECK(time.tooltip.find("without recording") != std::string::npos);
}

TEST_CASE("a ratio near 1 keeps the digit that says more than 1.0") {
  Snapshot snapshot = three_steps();
  snapshot.costs[0] = {a_step(100, 0, 1), a_step(0, 0, 1), a_step(0, 0, 1)};
  snapshot.costs[1] = {a_step(103, 0, 1), a_step(0, 0, 1), a_step(0, 0, 1)};
  CHECK(cost_curves(snapshot, {}).ratio == "1.03×");
}

TEST_CASE("from the first step whose time is not measured on, the sum is not known") {
  Snapshot snapshot = three_steps();
  snapshot.costs[1][1].time = TimeKind::none;
  const CostCurves curves = cost_curves(snapshot, {.quantity = CostQuantity::time, .hovered = 1});
  CHECK(curves.lines[0].measured);
  CHECK_FALSE(curves.lines[1].measured);
  CHECK(curves.lines[1].heights[0] > 0);
  CHECK(std::isnan(curves.lines[1].heights[1]));
  CHECK(std::isnan(curves.lines[1].heights[2]));
  CHECK(curves.lines[1].end_label == "not measured");
  CHECK(curves.ratio == "—");
  CHECK(curves.caption == "After 2 steps: the time is not measured.");
  CHECK(curves.hover->values[1] == "not measured");
  // Flop and bytes are counted, so they are known.
  CHECK(cost_curves(snapshot, {}).ratio == "2.5×");
}

TEST_CASE("times with recording are named as such") {
  Snapshot snapshot = three_steps();
  for (auto& side : snapshot.costs)
    for (StepCost& step : side) step.time = TimeKind::recorded;
  CHECK(cost_curves(snapshot, {.quantity = CostQuantity::time}).tooltip.find("Recording takes most of it") !=
        std::string::npos);
}

TEST_CASE("the step under the mouse: its token, both sums, and what it added") {
  const CostCurves curves = cost_curves(three_steps(), {.hovered = 1});
  REQUIRE(curves.hover);
  CHECK(curves.hover->title == "decode 1 “brown”");
  CHECK(curves.hover->values == std::array<std::string, 2>{"30", "50"});
  CHECK(curves.hover->of_step == std::array<std::string, 2>{"+10", "+30"});
  CHECK(curves.hover->ratio == "1.7×");
  CHECK(cost_curves(three_steps(), {.hovered = 0}).hover->title == "prefill");
  CHECK_FALSE(cost_curves(three_steps(), {.hovered = 3}).hover);
}

TEST_CASE("an axis has few ticks at nice numbers, and holds every value") {
  const auto axis = [](Unit unit, CostScale scale, double least, double most) {
    return labels(CostAxis::of(unit, scale, least, most).ticks());
  };
  CHECK(axis(Unit::plain, CostScale::linear, 0, 812e6) == Texts{"0", "250 M", "500 M", "750 M"});
  CHECK(axis(Unit::plain, CostScale::log, 3e6, 812e6) == Texts{"1 M", "10 M", "100 M", "1 G"});
  CHECK(axis(Unit::plain, CostScale::log, 2e6, 7e6) == Texts{"1 M", "2 M", "5 M", "10 M"});
  CHECK(axis(Unit::bytes, CostScale::linear, 0, 76e6) == Texts{"0", "20 MiB", "40 MiB", "60 MiB"});
  CHECK(axis(Unit::bytes, CostScale::log, 1.7e6, 76e6) == Texts{"1 MiB", "4 MiB", "16 MiB", "64 MiB"});
  CHECK(axis(Unit::microseconds, CostScale::linear, 0, 24e3) == Texts{"0", "10 ms", "20 ms"});
  CHECK(axis(Unit::microseconds, CostScale::log, 80, 24e3) ==
        Texts{"10 µs", "100 µs", "1 ms", "10 ms", "100 ms"});
  CHECK(axis(Unit::plain, CostScale::log, 0, 0) == Texts{"0"});
  for (const CostScale scale : {CostScale::linear, CostScale::log})
    for (const Unit unit : {Unit::plain, Unit::bytes, Unit::microseconds})
      for (double most = 1; most < 1e15; most *= 3.7)
        for (const double part : {1.0, 0.9, 1e-2, 1e-6}) {
          CAPTURE(most);
          CAPTURE(part);
          const CostAxis a = CostAxis::of(unit, scale, most * part, most);
          CHECK(a.ticks().size() >= 2);
          CHECK(a.ticks().size() <= 6);
          for (const double value : {most * part, most}) {
            CHECK(a.height(value) >= 0);
            CHECK(a.height(value) <= 1.0001);
          }
          for (const AxisTick& tick : a.ticks()) CHECK((tick.at >= 0 && tick.at <= 1.0001f));
        }
}

TEST_CASE("the curves of 4096 steps are made in less than 1 ms") {
#if defined(__SANITIZE_ADDRESS__) || !defined(NDEBUG)
  constexpr double kSlower = 20;  // checked or unoptimised builds
#else
  constexpr double kSlower = 1;
#endif
  Snapshot snapshot = three_steps();
  snapshot.last_step = 4096;
  for (auto& side : snapshot.costs) side.assign(4097, a_step(1'000'000, 1'000'000, 10));
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const CostCurves curves = cost_curves(snapshot, {.scale = CostScale::log});
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
    CHECK(curves.lines[1].values.size() == 4097);
    CHECK(curves.x.ticks.size() <= 7);
    best = std::min(best, taken.count());
  }
  MESSAGE("curves of 4096 steps: ", best, " ms");
  CHECK(best < kSlower);
}

TEST_CASE("a closed tab shows the sentence, an open tab does not repeat it") {
  const CostCurves curves = cost_curves(three_steps(), {});
  CHECK(tab_chips(curves, {}).at(0).summary == curves.caption);
  CHECK(tab_chips(curves, {.tab = Tab::cost}).at(0).summary == "");
  CHECK(tab_chips(curves, {.tab = Tab::cost}).at(0).open);
}
