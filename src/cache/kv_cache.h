// The K/V cache on the host: it knows which row is in which slot. It does not know what the rows contain.
//
// A decoder keeps the key and value rows that it has computed. A KvCache does the bookkeeping: for each
// sequence, how many rows it holds and in which blocks they are. The rows themselves are in storage that a
// backend owns; a KvCache never touches them.
//
//   auto cache = make_cache(options, sizes);      cache/make_cache.h
//   const StepPlan& plan = cache->plan(inputs);   chooses tokens, positions and slots; changes nothing
//   …run the step on a backend…
//   cache->commit(plan);                          now the cache holds the new rows
//   cache->abort(plan);                           instead, after an error or a cancel: changes nothing
//
// * One plan at a time: commit or abort it before the next call of plan, truncate, reset or copy_from.
// * Do not use the reference that plan returned after the next call of plan.
// * Do not read a slot at an index ≥ length(sequence): it may hold anything, NaN included.
//
// Several sequences may share rows. A row that two sequences hold is never written. A sequence that would
// write into a shared block first gets its own copy of the block (StepPlan::block_copies, done by
// begin_step).
//
//   cache->fork(0, 1);                            sequence 1 now holds the rows of sequence 0, without a copy
//   cache->adopt_prefix(2, tokens);               rows of an earlier text that begins with the same tokens
//   cache->reset(0);                              gives the blocks of sequence 0 back
//   cache->usage();                               what is held, shared, reserved and wasted, exactly
//
// When a policy forgets rows, these three numbers differ: the tokens that a sequence has seen (*n_seen*), the
// rows that it holds (*length*), and the *position* of a held row. Ask the cache for each of them. Do not
// compute one from another.
//
// Invariant: between steps every index < length(sequence) maps through the block table to exactly one slot,
// which holds the row written for it. Two held (sequence, index) pairs share a slot only if one sequence was
// forked from the other or adopted its prefix; then the index and all tokens up to it are equal.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/cache_spec.h"
#include "cache/index.h"
#include "cache/step_plan.h"

namespace lastrow {

enum class LogitRows : uint8_t { none, last, all };

/// The new tokens of one sequence in a step. They follow the tokens that the sequence has seen.
struct SequenceInput {
  int32_t sequence = 0;
  std::span<const int32_t> tokens;
  LogitRows logits = LogitRows::last;
};

/// How the slots of a cache are used. Counts are of one layer. If the layers form two groups, they are those of group 0
/// (CacheSpec::group), except rows_evicted, which counts in group 1; group(i).usage() gives those of group i.
/// rows_stored ≤ rows_reserved = blocks_used · block_len. The difference is the internal waste.
/// blocks_used + blocks_cached + blocks_free = CacheSpec::n_blocks.
struct CacheUsage {
  int64_t rows_held = 0;      // Σ length(sequence): a row that two sequences hold counts twice
  int64_t rows_stored = 0;    // slots that hold a row of some sequence: a shared row counts once
  int64_t rows_reserved = 0;  // slots in blocks that some sequence has
  int64_t rows_evicted = 0;   // rows that a policy forgot since the cache was made
  int32_t blocks_used = 0;    // blocks that at least one sequence has
  int32_t blocks_shared = 0;  // of these, blocks that two or more sequences have
  int32_t blocks_cached = 0;  // blocks that no sequence has, kept for a later text with the same prefix
  int32_t blocks_free = 0;

  /// Slots that are reserved but hold no row: the rest of each sequence's last block.
  int64_t internal_waste() const { return rows_reserved - rows_stored; }
  bool operator==(const CacheUsage&) const = default;
};

/// A row that a policy forgot.
struct EvictedRow {
  int32_t sequence, position;
  int64_t slot;     // it was there; the next steps may write another row there
  double mass = 0;  // the attention that it got, if the policy goes by it (wants_mass)
  bool operator==(const EvictedRow&) const = default;
};

/// What adopt_prefix found since the cache was made.
struct PrefixCounts {
  int64_t n_lookups = 0;       // calls of adopt_prefix
  int64_t n_hits = 0;          // calls that found at least one block
  int64_t tokens_asked = 0;    // Σ tokens of the texts
  int64_t tokens_found = 0;    // Σ tokens whose rows were found
  int64_t blocks_evicted = 0;  // cached blocks that were given to other texts
  bool operator==(const PrefixCounts&) const = default;
};

class KvCache {
 public:
  virtual ~KvCache() = default;

  virtual const CacheSpec& spec() const = 0;
  /// Sequences are numbered 0 … n_seqs() − 1. At the start all of them are empty.
  virtual int32_t n_seqs() const = 0;
  /// The number of tokens so far, forgotten ones included. It is the position of the next token.
  virtual int32_t n_seen(int32_t sequence) const = 0;
  /// The number of rows that the sequence holds. Their indices are 0 … length − 1.
  virtual int32_t length(int32_t sequence) const = 0;

  /// The layers of a model whose layers alternate form two groups, each with rows and blocks of its own
  /// (CacheSpec::group). What a cache says of itself is then of group 0, whose layers hold every row. A cache
  /// with one group returns itself.
  virtual const KvCache& group(int32_t /*i*/) const { return *this; }
  /// The cache of the group that a layer belongs to: its length, slots and positions are those of the layer.
  const KvCache& of_layer(int32_t layer) const { return group(spec().group_of(layer)); }

  /// The slot of the row at an index.
  virtual int64_t slot(int32_t sequence, int32_t index) const = 0;
  /// The position of the token whose row is at an index: its number in the text. RoPE goes by it, unless the
  /// cache uses new positions (StepPlan::new_positions).
  virtual int32_t position_of(int32_t sequence, int32_t index) const = 0;

  /// Lays out one step for these sequences, in this order. Changes nothing. Throws CapacityError if a
  /// sequence would become longer than max_seq_len or if there are no free blocks, UsageError for an unknown
  /// or repeated sequence.
  virtual const StepPlan& plan(std::span<const SequenceInput> inputs) = 0;
  virtual void commit(const StepPlan& plan) = 0;
  virtual void abort(const StepPlan& plan) = 0;

  /// Goes back to the state in which the sequence had seen n_tokens ≤ n_seen. The later rows stay in storage,
  /// but nothing reads them any more. If no other sequence shares them, a later plan of the same lengths gets
  /// the same slots again.
  /// Throws UsageError unless can_truncate.
  virtual void truncate(int32_t sequence, int32_t n_tokens) = 0;
  /// Whether truncate is possible. A cache that forgets rows cannot go back to a state that held some of them. One that
  /// seals blocks of K cannot go back to fewer sealed blocks, except to 0.
  /// It is always possible for 0 and for n_seen.
  virtual bool can_truncate(int32_t /*sequence*/, int32_t /*n_tokens*/) const { return true; }
  /// Ends the text: the sequence is empty again. A cache that shares prefixes keeps the full blocks for later
  /// texts as long as it can. truncate(sequence, 0) does not keep them.
  virtual void reset(int32_t sequence) { truncate(sequence, 0); }

  /// Lets the empty sequence `to` hold the rows of `from`, in the same slots. Copies no rows and allocates
  /// nothing. Throws UsageError if this kind of cache cannot share rows, or if `to` is not empty.
  virtual void fork(int32_t from, int32_t to) = 0;
  /// Looks for stored rows of the same tokens at the same positions, and lets the empty sequence hold them.
  /// Returns how many of the n tokens it then holds. These are full blocks only, and at most
  /// ⌊(n − 1) / block_len⌋ blocks, because the last token must still be fed to get its logits. The next plan
  /// of the sequence begins behind them. Returns 0 if this kind of cache keeps no rows of finished texts.
  virtual int32_t adopt_prefix(int32_t sequence, std::span<const int32_t> tokens) = 0;

  /// Whether the policy goes by the attention that rows get. Then call add_mass in each step, before commit.
  virtual bool wants_mass() const { return false; }
  /// mass [n_seqs, keys_per_seq] of the plan: the weight that each index got in this step, Σ over layers, query
  /// heads and queries. Elements behind kv_len are not read. An aborted plan forgets it.
  virtual void add_mass(const StepPlan& /*plan*/, std::span<const float> /*mass*/) {}

  /// The rows that the last commit forgot, in the order in which it forgot them. None after truncate, reset or
  /// copy_from. Valid until the next call of plan.
  virtual std::span<const EvictedRow> evicted() const { return {}; }
  virtual CacheUsage usage() const = 0;
  virtual PrefixCounts prefix_counts() const { return {}; }

  /// Copies the bookkeeping of `other`, a cache of the same kind and sizes. No rows are copied: both caches
  /// then describe the same storage. Allocates nothing. To undo steps, copy the cache before the
  /// steps, and copy it back afterwards. If the steps overwrote rows that sequences held, the caller must
  /// restore these rows. Cached blocks (usage) that the steps overwrote are lost and become free.
  virtual void copy_from(const KvCache& other) = 0;
};

}  // namespace lastrow
