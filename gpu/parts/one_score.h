// The score of one query and one key, by one thread. For operations that look at scores beside the attention.
//
//   const float score = score_of(o, g_group_scales, sequence, token, h, s);
//
// It reads the whole query and the whole key, so it is slow and takes every type of K.
#pragma once

#include "cache/kv_groups.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {

/// The score of packed token `token`, head h and index s of sequence `seq`. g_group_scales: the scales of K, if KV
/// has groups.
template <typename KV>
__device__ float score_of(const AttendOperands<KV>& o, const Global<const Half>& g_group_scales, int32_t seq,
                          int32_t token, int32_t h, int32_t s) {
  const int32_t g = h / o.group_size;
  const int64_t slot = slot_at(o, seq, s), k = row_offset(o.layout, slot, g);
  const int64_t q = (int64_t{token} * o.n_q_heads + h) * o.head_dim;
  float score = 0;
  if constexpr (is_grouped<KV>) {
    const int64_t first_scale = scale_offset(o.layout, slot, g) * n_groups(o.head_dim);
    for (int32_t d = 0; d < o.head_dim; d += 2) {
      const uint8_t bits = o.g_k.load((k + d) / 2).bits;
      const float scale = to_float(g_group_scales.load(first_scale + d / kScaleGroup));
      score += o.g_q.load(q + d) * (number_of<KV>(first_code(bits)) * scale) +
               o.g_q.load(q + d + 1) * (number_of<KV>(second_code(bits)) * scale);
    }
  } else {
    float k_scale = 1;
    if constexpr (std::is_same_v<KV, int8_t>) k_scale = o.g_k_scales.load(scale_offset(o.layout, slot, g));
    for (int32_t d = 0; d < o.head_dim; ++d) score += o.g_q.load(q + d) * decode(o.g_k.load(k + d), k_scale);
  }
  score *= o.score.query_factor();
  return o.score.only_scales() ? score : finish_score(o, seq, token, h, s, score, 1);
}

}  // namespace lastrow::LASTROW_TARGET
