// The K/V cache, seen from the host: which row lives in which slot, and nothing of what is in the rows.
//
// A decoder keeps the key and value rows that it has computed. This class keeps the book of them: for each
// sequence a length and a block table. The rows are in storage that a backend owns; policy never touches it.
//
//   ContiguousCache cache(spec);
//   const StepPlan& plan = cache.plan(inputs);    which tokens, positions, slots; nothing has changed yet
//   …run the step on a backend…
//   cache.commit(plan);                           the new rows count from now on
//   cache.abort(plan);                            instead, after an error or a cancel: as if never planned
//
// * One plan at a time: commit or abort it before the next call of plan, truncate or reset.
// * Do not keep the reference that plan returns past the next plan.
// * Do not read a slot at an index ≥ length(sequence): it may hold anything, NaN included.
//
// Invariant: between steps every index < length(sequence) maps through the block table to exactly one slot,
// which holds the row written for it, and no two live (sequence, index) pairs share a slot.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/index.h"
#include "cache/kv_codec.h"
#include "cache/step_plan.h"
#include "core/dtype.h"

namespace lastrow {

/// The size of a cache and the type of its elements; storage is made from it.
struct CacheSpec {
  int32_t n_layers = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t max_seq_len = 0;   // indices a sequence may hold
  int32_t block_len = 0;     // contiguous: max_seq_len
  int32_t n_blocks = 0;      // contiguous: one a sequence
  DType dtype = DType::f32;  // of stored elements: f32, f16, bf16, fp8_e4m3 or i8 (cache/kv_codec.h)

  RowLayout layout() const { return {n_kv_heads, block_len, head_dim}; }
  int32_t max_blocks_per_seq() const { return (max_seq_len + block_len - 1) / block_len; }
  /// Rows of K (or of V) of one layer, one for each slot and K/V head.
  int64_t layer_rows() const { return int64_t{n_blocks} * n_kv_heads * block_len; }
  /// Of one row: its elements, and its scale where the type has one.
  int64_t row_bytes() const { return head_dim * static_cast<int64_t>(size_of(dtype)) + scale_bytes(dtype); }
  /// All layers, K and V: 2 · n_layers · n_kv_heads · slots · row_bytes.
  int64_t bytes() const { return 2 * n_layers * layer_rows() * row_bytes(); }

  /// One block of max_seq_len indices for each of n_seqs sequences.
  static CacheSpec contiguous(int32_t n_layers, int32_t n_kv_heads, int32_t head_dim, int32_t max_seq_len,
                              int32_t n_seqs = 1, DType dtype = DType::f32);
};

/// Throws ShapeError unless every size is positive, blocks suffice for one sequence, K and V can be stored in
/// the dtype, and bytes() fits int64.
void validate(const CacheSpec& spec);

enum class LogitRows : uint8_t { none, last, all };

/// What one sequence brings to a step: tokens that follow those it already holds.
struct SequenceInput {
  int32_t sequence = 0;
  std::span<const int32_t> tokens;
  LogitRows logits = LogitRows::last;
};

class KvCache {
 public:
  virtual ~KvCache() = default;

  virtual const CacheSpec& spec() const = 0;
  /// Indices that the sequence holds, committed.
  virtual int32_t length(int32_t sequence) const = 0;

  /// Where the row of a committed index is.
  virtual int64_t slot(int32_t sequence, int32_t index) const = 0;

  /// Lays out one step for the given sequences, in their order. Throws CapacityError if a sequence would
  /// outgrow max_seq_len (or blocks run out), UsageError for an unknown or repeated one; and changes nothing.
  virtual const StepPlan& plan(std::span<const SequenceInput> inputs) = 0;
  virtual void commit(const StepPlan& plan) = 0;
  virtual void abort(const StepPlan& plan) = 0;

  /// Forgets every index ≥ new_length. Rows stay in storage, unread.
  virtual void truncate(int32_t sequence, int32_t new_length) = 0;
  void reset(int32_t sequence) { truncate(sequence, 0); }
};

/// One block a sequence: sequence i owns block i for good, and index equals place in block.
class ContiguousCache final : public KvCache {
 public:
  explicit ContiguousCache(const CacheSpec& spec);  // validates; n_blocks sequences, ids 0 … n_blocks − 1

  const CacheSpec& spec() const override { return spec_; }
  int32_t length(int32_t sequence) const override;
  int64_t slot(int32_t sequence, int32_t index) const override;
  const StepPlan& plan(std::span<const SequenceInput> inputs) override;
  void commit(const StepPlan& plan) override;
  void abort(const StepPlan& plan) override;
  void truncate(int32_t sequence, int32_t new_length) override;

 private:
  CacheSpec spec_;
  std::vector<int32_t> lengths_;  // [n_blocks]
  StepPlan plan_;
  bool planned_ = false;
};

}  // namespace lastrow
