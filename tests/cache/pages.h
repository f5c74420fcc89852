// Short words for the tests of paged caches.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "cache/paged_cache.h"

namespace lastrow::testing {

using Ints = std::vector<int32_t>;
using Slots = std::vector<int64_t>;
using Copies = std::vector<std::pair<int32_t, int32_t>>;

inline CacheSpec pages(int32_t max_seq_len, int32_t block_len, int32_t n_blocks) {
  CacheSpec spec = CacheSpec::contiguous(/*n_layers=*/2, /*n_kv_heads=*/1, /*head_dim=*/4, max_seq_len);
  spec.block_len = block_len;
  spec.n_blocks = n_blocks;
  return spec;
}

inline const StepPlan& plan(KvCache& cache, int32_t sequence, const Ints& tokens) {
  const SequenceInput input{sequence, tokens, LogitRows::last};
  return cache.plan({&input, 1});
}

/// One whole step of one sequence.
inline void feed(KvCache& cache, int32_t sequence, const Ints& tokens) {
  cache.commit(plan(cache, sequence, tokens));
}

/// The slots of all rows that a sequence holds.
inline Slots slots(const KvCache& cache, int32_t sequence) {
  Slots slots;
  for (int32_t i = 0; i < cache.length(sequence); ++i) slots.push_back(cache.slot(sequence, i));
  return slots;
}

inline Copies copies(const StepPlan& plan) {
  Copies copies;
  for (const BlockCopy& copy : plan.block_copies) copies.emplace_back(copy.from_block, copy.to_block);
  return copies;
}

}  // namespace lastrow::testing
