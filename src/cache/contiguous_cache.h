// The simplest policy: each sequence always has the same block of max_seq_len slots. It never forgets a row.
//
//   ContiguousCache cache(CacheSpec::contiguous(n_layers, n_kv_heads, head_dim, max_seq_len));
//
// It may have a window and sinks. They are a mask alone, in the plan: the rows that no query sees any more
// are kept all the same. A WindowCache, which forgets them, computes the same function.
//
// How to call it, and what never to do, is in cache/kv_cache.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/kv_cache.h"

namespace lastrow {

/// One block for each sequence: sequence i always owns block i. Index = position = place in the block.
class ContiguousCache final : public KvCache {
 public:
  /// Has n_blocks sequences, 0 … n_blocks − 1. Throws as validate does, or if block_len is not max_seq_len.
  /// window and sinks: StepPlan::window and window_sinks of every plan.
  explicit ContiguousCache(const CacheSpec& spec, int32_t window = 0, int32_t sinks = 0);

  const CacheSpec& spec() const override { return spec_; }
  int32_t n_seqs() const override { return spec_.n_blocks; }
  int32_t n_seen(int32_t sequence) const override { return length(sequence); }
  int32_t length(int32_t sequence) const override;
  int64_t slot(int32_t sequence, int32_t index) const override;
  int32_t position_of(int32_t sequence, int32_t index) const override;
  const StepPlan& plan(std::span<const SequenceInput> inputs) override;
  void commit(const StepPlan& plan) override;
  void abort(const StepPlan& plan) override;
  void truncate(int32_t sequence, int32_t n_tokens) override;
  void fork(int32_t from, int32_t to) override;
  int32_t adopt_prefix(int32_t sequence, std::span<const int32_t> tokens) override;
  CacheUsage usage() const override;
  void copy_from(const KvCache& other) override;

 private:
  void require_held(int32_t sequence, int32_t index) const;

  CacheSpec spec_;
  int32_t window_, sinks_;
  std::vector<int32_t> lengths_;  // [n_blocks]
  StepPlan plan_;
  bool planned_ = false;
};

}  // namespace lastrow
