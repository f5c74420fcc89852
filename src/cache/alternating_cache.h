// A cache for a model whose layers alternate: some see a window of the text, the others all of it (Gemma 2).
//
//   AlternatingCache cache(options, sizes);            options.windowed_every > 0, set by completed()
//   cache.of_layer(0).length(0)                        layer 0 has the ring
//   cache.of_layer(1).length(0)                        layer 1 holds every row
//
// How to call it, and what never to do, is in cache/kv_cache.h.
//
// Two caches share the work, one for each group of layers (CacheSpec::group), with blocks of the same length:
//   group 0   the layers that see all keys: a paged cache with room for every row
//   group 1   the windowed layers: a ring of blocks (cache/window_cache.h), which forgets what they no longer see
// Both get the same tokens in each step. So the windowed layers need only the bytes of their window, and no layer
// forgets a row that it still sees. The map of the groups is in cache/cache_spec.h.
//
// What the cache says of itself (length, slot, position_of, usage) is group 0's: this group holds every row. Ask
// of_layer() for the rows of one layer. evicted() and CacheUsage::rows_evicted are of group 1.
//
// Invariant: both groups have seen the same tokens of each sequence.
#pragma once

#include "cache/kv_cache.h"
#include "cache/make_cache.h"
#include "cache/paged_cache.h"
#include "cache/window_cache.h"

namespace lastrow {

/// Throws as window_spec does, and ShapeError unless there are layers of both kinds.
CacheSpec alternating_spec(const CacheOptions& options, const CacheSizes& sizes);

class AlternatingCache final : public KvCache {
 public:
  /// Throws as alternating_spec does.
  AlternatingCache(const CacheOptions& options, const CacheSizes& sizes);

  const CacheSpec& spec() const override { return spec_; }
  int32_t n_seqs() const override { return full_.n_seqs(); }
  int32_t n_seen(int32_t sequence) const override { return full_.n_seen(sequence); }
  int32_t length(int32_t sequence) const override { return full_.length(sequence); }
  int64_t slot(int32_t sequence, int32_t index) const override { return full_.slot(sequence, index); }
  int32_t position_of(int32_t sequence, int32_t index) const override {
    return full_.position_of(sequence, index);
  }
  const KvCache& group(int32_t i) const override;

  const StepPlan& plan(std::span<const SequenceInput> inputs) override;
  void commit(const StepPlan& plan) override;
  void abort(const StepPlan& plan) override;

  void truncate(int32_t sequence, int32_t n_tokens) override;
  /// Possible if the ring can go back too.
  bool can_truncate(int32_t sequence, int32_t n_tokens) const override {
    return windowed_.can_truncate(sequence, n_tokens);
  }
  /// Always throws UsageError: a ring cannot be shared.
  void fork(int32_t from, int32_t to) override;
  /// Always 0.
  int32_t adopt_prefix(int32_t sequence, std::span<const int32_t> tokens) override;
  std::span<const EvictedRow> evicted() const override { return windowed_.evicted(); }
  CacheUsage usage() const override;
  void copy_from(const KvCache& other) override;

 private:
  void require_current(const StepPlan& plan) const;
  void forget_plans();

  CacheSpec spec_;
  PagedCache full_;
  WindowCache windowed_;
  StepPlan plan_;                        // a copy of both plans
  const StepPlan* full_plan_ = nullptr;  // those of the current step; nullptr between steps
  const StepPlan* windowed_plan_ = nullptr;
};

}  // namespace lastrow
