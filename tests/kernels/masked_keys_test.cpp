// A key that the mask hides from one query and not from its neighbour. It may hold NaN, and only queries that
// see it may be affected.
#include <doctest/doctest.h>

#include <cmath>

#include "core/random.h"
#include "tests/kernels/run_rung.h"

namespace lastrow::testing {
namespace {

constexpr int32_t kLen = 20, kDims = 16;  // queries = keys, one head

/// Which part of a key is NaN.
struct Poison {
  int32_t key = -1;  // −1: no key
  bool in_k = true;
  int32_t d_begin = 0, d_end = kDims;  // dims of V; K is NaN in all dims
};

/// 0: exact products; 1: those of rungs that round q and p, always or if they are asked to.
bool takes_parts(const emulated::Rung& rung, int32_t n_parts) {
  return n_parts == 0 ? !rung.rounds : rung.rounds || &rung == &emulated::k11 || &rung == &emulated::k12;
}

/// out [kLen, kDims].
std::vector<float> attend_with(const emulated::Rung& rung, MaskRule mask, int32_t n_parts, Poison poison) {
  gpu::AttendShape shape{
      .head_dim = kDims, .n_tokens = kLen, .max_q_len = kLen, .max_kv_len = kLen, .block_len = kLen};
  shape.kv_dtype = widest_type(rung, shape);
  std::vector<float> q(kLen * kDims), k(q.size()), v(q.size());
  Random random(3);
  for (auto* rows : {&q, &k, &v})
    for (float& x : *rows) x = static_cast<float>(random.normal());
  for (int32_t d = 0; d < kDims && poison.key >= 0; ++d) {
    if (poison.in_k) k[poison.key * kDims + d] = NAN;
    if (d >= poison.d_begin && d < poison.d_end) v[poison.key * kDims + d] = NAN;
  }
  return attend_by_hand(rung, {shape, {}, {.n_parts = n_parts}}, {.score = {.scale = 0.25f}, .mask = mask}, q,
                        k, v)
      .out;
}

void expect_nan_where_seen(const emulated::Rung& rung, MaskRule mask, int32_t n_parts) {
  const std::vector<float> clean = attend_with(rung, mask, n_parts, {}),
                           poisoned = attend_with(rung, mask, n_parts, {.key = 9});
  for (int32_t t = 0; t < kLen; ++t) {
    const VisibleKeys keys = visible_keys(mask, kLen, kLen, t);
    const bool sees = keys.begin <= 9 && 9 < keys.end;
    int32_t n_nan = 0, n_same = 0;
    for (int32_t d = 0; d < kDims; ++d) {
      n_nan += std::isnan(poisoned[t * kDims + d]) ? 1 : 0;
      n_same += poisoned[t * kDims + d] == clean[t * kDims + d] ? 1 : 0;
    }
    CHECK_MESSAGE((sees ? n_nan : n_same) == kDims, std::string(rung.name), ", ", n_parts, " parts, window ",
                  mask.window, ", query ", t);
  }
}

TEST_CASE("NaN in a key reaches the queries that see it, and changes no bit of the others") {
  for (const emulated::Rung* rung : emulated::ladder())
    for (const MaskRule mask : {MaskRule{true, 0}, MaskRule{true, 4}})
      for (const int32_t n_parts : {0, 1})
        if (takes_parts(*rung, n_parts)) expect_nan_where_seen(*rung, mask, n_parts);
}

TEST_CASE("NaN in three dims of a key's V reaches only these dims of the queries that see it") {
  for (const emulated::Rung* rung : emulated::ladder())
    for (const int32_t n_parts : {0, 1}) {
      if (!takes_parts(*rung, n_parts)) continue;
      const MaskRule mask{true, 4};
      const std::vector<float> clean = attend_with(*rung, mask, n_parts, {}),
                               poisoned = attend_with(*rung, mask, n_parts, {9, false, 6, 9});
      for (int32_t t = 0; t < kLen; ++t)
        for (int32_t d = 0; d < kDims; ++d) {
          const VisibleKeys keys = visible_keys(mask, kLen, kLen, t);
          const bool is_nan = keys.begin <= 9 && 9 < keys.end && d >= 6 && d < 9;
          const float x = poisoned[t * kDims + d];
          CHECK_MESSAGE((is_nan ? std::isnan(x) : x == clean[t * kDims + d]), std::string(rung->name), ", ",
                        n_parts, " parts, query ", t, ", dim ", d);
        }
    }
}

}  // namespace
}  // namespace lastrow::testing
