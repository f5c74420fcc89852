#include <doctest/doctest.h>

#include <limits>

#include "core/error.h"
#include "cost/presets.h"
#include "cost/roofline.h"
#include "ops/attend.h"
#include "ops/step_cost.h"
#include "support/thread_limit.h"

using namespace lastrow;

TEST_CASE("a roofline with round numbers") {
  const Roofline machine{.peak_gflops = 100, .read_gbps = 10};
  CHECK(machine.ridge() == 10);
  CHECK(machine.attainable_gflops(1) == 10);    // bandwidth limits
  CHECK(machine.attainable_gflops(10) == 100);  // the ridge
  CHECK(machine.attainable_gflops(50) == 100);  // compute limits

  const OpCost copy{.flop = 0, .activation_bytes = 1'000'000'000},
      work{.flop = 200'000'000'000, .weight_bytes = 1};
  CHECK(intensity(copy) == 0);
  CHECK(machine.bandwidth_bound(copy));
  CHECK_FALSE(machine.bandwidth_bound(work));
  CHECK(machine.least_seconds(copy) == doctest::Approx(0.1));
  CHECK(machine.least_seconds(work) == doctest::Approx(2.0));
  CHECK(intensity({}) == 0);
  CHECK(intensity({.flop = 1}) == std::numeric_limits<double>::infinity());
}

TEST_CASE("claim 10 on paper: batching raises the intensity of weights, not of attention; grouping does") {
  const ModelShape& m = find_preset("llama-3-8b");
  const auto step = [&](int64_t q_len, int64_t batch) {
    return step_cost(m, {.q_len = q_len,
                         .kv_len = 4096,
                         .n_logit_rows = batch,
                         .weight_elem_bytes = 2,
                         .k = {2},
                         .v = {2},
                         .activation_elem_bytes = 2,
                         .batch = batch});
  };
  CHECK(intensity(step(1, 1)) < 1.2);     // one decode: about 1 flop for each byte of 2-byte weights
  CHECK(intensity(step(4096, 1)) > 100);  // a prefill
  CHECK(intensity(step(1, 32)) > 4 * intensity(step(1, 1)));

  const auto attention = [](int64_t n_kv_heads, int64_t batch) {
    return intensity(cost::attend({.visible_cells = batch * 4096,
                                   .kv_rows = batch * 4096,
                                   .n_tokens = batch,
                                   .n_q_heads = 32,
                                   .n_kv_heads = n_kv_heads,
                                   .head_dim = 128,
                                   .k = {2},
                                   .v = {2}}));
  };
  CHECK(attention(8, 64) == doctest::Approx(attention(8, 1)));
  CHECK(attention(8, 1) == doctest::Approx(4 * attention(32, 1)).epsilon(0.01));
  CHECK(attention(32, 1) == doctest::Approx(1).epsilon(0.01));  // 4 flop for the 2 + 2 bytes of a k and a v
}

TEST_CASE("measurements are positive, finite and plausible") {
  const double bandwidth = measure_read_bandwidth_gbps(
      1 << 20, 1, 2);  // the buffer fits in the cache: this only tests that it works
  CHECK(bandwidth > 0.01);
  CHECK(bandwidth < 1e5);
  CHECK(measure_read_bandwidth_gbps(1 << 20, 3, 2) > 0.01);
  CHECK(measure_read_bandwidth_gbps(1 << 20, 1, 2, 8) < 1e5);  // every pass reads: none is optimised away
  const double peak = measure_peak_f32_gflops(1, 1);
  CHECK(peak > 0.01);
  CHECK(peak < 1e5);
}

TEST_CASE("measurements refuse wrong arguments") {
  CHECK_THROWS_AS((void)measure_read_bandwidth_gbps(1 << 20, 0), ShapeError);
  CHECK_THROWS_AS((void)measure_read_bandwidth_gbps(1 << 20, 5000), ShapeError);
  CHECK_THROWS_AS((void)measure_read_bandwidth_gbps(100, 1), ShapeError);
  CHECK_THROWS_AS((void)measure_read_bandwidth_gbps(-1, 1), ShapeError);
  CHECK_THROWS_AS((void)measure_read_bandwidth_gbps(1 << 20, 1, 0), ShapeError);
  CHECK_THROWS_AS((void)measure_read_bandwidth_gbps(1 << 20, 1, 1, 0), ShapeError);
  CHECK_THROWS_AS((void)measure_peak_f32_gflops(0), ShapeError);
}

TEST_CASE("if a thread of a measurement cannot be started, the error says so and no thread stays") {
  {
    const lastrow::testing::ThreadLimit limit(1);
    CHECK_THROWS_WITH_AS((void)measure_read_bandwidth_gbps(1 << 20, 4, 2),
                         doctest::Contains("thread 3 of 4 cannot be started"), CapacityError);
    CHECK_THROWS_AS((void)measure_peak_f32_gflops(2, 1), CapacityError);  // the only thread is already used
  }
  CHECK(measure_read_bandwidth_gbps(1 << 20, 4, 2) > 0.01);
}
