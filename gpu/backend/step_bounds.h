// The lengths that a step's launches are made for. They are upper bounds, so one record serves many steps.
//
//   const StepBounds most = bounds_of(plan, storage.spec().max_kv_len_of(layer));
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "cache/kv_cache.h"

namespace lastrow::LASTROW_TARGET {

/// The kv_len that the launches of a step are made for. A prefill is made for its own length. Many decode
/// steps differ only in length, so they are made for the next power of two. Then one record serves many of
/// them, and none is made for more than twice its own length (or 128).
inline int32_t kv_bound(int32_t max_q_len, int32_t max_kv_len, int32_t max_seq_len) {
  constexpr uint32_t kLeast = 128;
  if (max_q_len != 1) return max_kv_len;
  const uint32_t bound = std::bit_ceil(std::max(kLeast, static_cast<uint32_t>(max_kv_len)));
  return static_cast<int32_t>(std::min(bound, static_cast<uint32_t>(std::max(max_seq_len, max_kv_len))));
}

/// The most queries, and the most keys, of one sequence.
struct StepBounds {
  int32_t max_q_len = 0, max_kv_len = 0;
};

/// `largest`: the most keys that a sequence can have in the layers of this plan.
inline StepBounds bounds_of(const StepPlan& plan, int32_t largest) {
  StepBounds most;
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    most.max_q_len = std::max(most.max_q_len, plan.q_len(i));
    most.max_kv_len = std::max(most.max_kv_len, plan.kv_len[i]);
  }
  most.max_kv_len = kv_bound(most.max_q_len, most.max_kv_len, largest);
  return most;
}

}  // namespace lastrow::LASTROW_TARGET
