// A key that the mask hides from one query and not from its neighbour: it may hold NaN, and only those that
// see it may notice.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "cache/kv_codec.h"
#include "core/random.h"
#include "gpu/kernels/ladder.h"
#include "gpu/simt/device.h"

namespace lastrow::testing {
namespace {

constexpr int32_t kLen = 20, kHeadDim = 16;  // queries = keys, one head

/// K or V as the rung stores it.
std::vector<Half> narrow(const std::vector<float>& rows) {
  std::vector<Half> stored(rows.size());
  encode_row(rows.data(), static_cast<int32_t>(rows.size()), stored.data());
  return stored;
}

/// out [kLen, kHeadDim] with K and V of key `poisoned` full of NaN (−1: of none).
std::vector<float> attend_with(const emulated::Rung& rung, MaskRule mask, int32_t poisoned) {
  const bool takes_f32 = rung.supports({.head_dim = kHeadDim, .n_tokens = kLen}).empty();
  const gpu::AttendShape shape{.head_dim = kHeadDim,
                               .kv_dtype = takes_f32 ? DType::f32 : DType::f16,
                               .n_tokens = kLen,
                               .max_q_len = kLen,
                               .max_kv_len = kLen,
                               .block_len = kLen,
                               .blocks_per_seq = 1,
                               .n_blocks = 1};
  std::vector<float> q(kLen * kHeadDim), k(q.size()), v(q.size()), out(q.size()), lse(kLen);
  Random random(3);
  for (auto* rows : {&q, &k, &v})
    for (float& x : *rows) x = static_cast<float>(random.normal());
  for (int32_t d = 0; d < kHeadDim && poisoned >= 0; ++d)
    k[poisoned * kHeadDim + d] = v[poisoned * kHeadDim + d] = NAN;
  const std::vector<Half> k16 = narrow(k), v16 = narrow(v);
  const int32_t q_start[] = {0, kLen}, kv_len[] = {kLen}, table[] = {0};
  const std::vector<int32_t> seq_of_token(kLen, 0);
  std::vector<float> scratch(static_cast<size_t>(rung.scratch_elems(shape)));
  simt::Device device(1);
  rung.launch({.shape = shape,
               .spec = {0.25f, mask},
               .q = q.data(),
               .k = takes_f32 ? static_cast<const void*>(k.data()) : k16.data(),
               .v = takes_f32 ? static_cast<const void*>(v.data()) : v16.data(),
               .k_scales = nullptr,
               .v_scales = nullptr,
               .q_start = q_start,
               .kv_len = kv_len,
               .seq_of_token = seq_of_token.data(),
               .block_tables = table,
               .out = out.data(),
               .lse = lse.data(),
               .scratch = scratch.data()},
              &device);
  return out;
}

TEST_CASE("NaN in a key reaches the queries that see it, and changes no bit of the others") {
  for (const emulated::Rung* rung : emulated::ladder()) {
    const std::string name = rung->name;
    for (const MaskRule mask : {MaskRule{true, 0}, MaskRule{true, 4}}) {
      const std::vector<float> clean = attend_with(*rung, mask, -1), poisoned = attend_with(*rung, mask, 9);
      for (int32_t t = 0; t < kLen; ++t) {
        const KeyRange keys = visible_keys(mask, kLen, kLen, t);
        const bool sees = keys.begin <= 9 && 9 < keys.end;
        int32_t n_nan = 0, n_same = 0;
        for (int32_t d = 0; d < kHeadDim; ++d) {
          n_nan += std::isnan(poisoned[t * kHeadDim + d]) ? 1 : 0;
          n_same += poisoned[t * kHeadDim + d] == clean[t * kHeadDim + d] ? 1 : 0;
        }
        CHECK_MESSAGE((sees ? n_nan : n_same) == kHeadDim, name, ", window ", mask.window, ", query ", t);
      }
    }
  }
}

}  // namespace
}  // namespace lastrow::testing
