// A cache that keeps the last rows of each sequence, and its first ones: a ring of blocks behind the sinks.
//
//   const CacheSpec spec = window_spec(options, sizes);       how many blocks
//   WindowCache cache(spec, n_seqs, {.window = 64, .sinks = 4, .longest_step = 64});
//
// How to call it, and what never to do, is in cache/kv_cache.h.
//
// A query sees the first `sinks` keys and the last `window` ones, its own among them. So when a step is
// committed, no later query sees more than the sinks and the last window − 1 rows, and the cache forgets the
// others. Each sequence owns ⌈sinks / B⌉ blocks of B rows for the sinks, and a ring of
// ⌈(window + longest_step − 1) / B⌉ blocks for the rest: a step writes up to longest_step rows while its
// first query still sees window − 1 older ones. A row keeps its position, and its position says where it is:
//
//   sinks 1, window 4, B 2, one token a step: block 0 for the sink, blocks 1 and 2 for the ring
//   token 4:   block table [ 0, 1, 2 ]       block 0: 0 .   block 1: 1 2   block 2: 3 4
//   token 5:   block table [ 0, 1, 2, 1 ]    block 0: 0 .   block 1: 5 2   block 2: 3 4
//
// Token 5 has overwritten row 1, which it does not see. Block 1 is now the oldest block of the ring and also
// the newest, so the table lists it twice. Its first place holds row 5, so the oldest row of the ring, row 2,
// is at place 1. StepPlan::table_first gives this place.
//
// StepPlan::window and window_sinks say which keys a query sees. The rows of the ring have consecutive
// positions, so the last `window` indices are also the last `window` positions. Between the last sink and the
// first row of the ring, positions may be missing. So the plan has key_positions.
//
// With Positions::renumbered, RoPE and ALiBi go by the index of a row among the held ones, not by its number in the
// text (StepPlan::new_positions, new_key_positions). So no position reaches sinks + window, however long the
// text is. Then K is stored before RoPE and rotated in each step (ops/rotate_keys.h). The distance of a query to
// a sink differs from query to query, so a step feeds one token of a sequence. All else, position_of included,
// is as with Positions::kept.
//
// Invariant: a sequence that has seen n tokens holds the rows of the positions 0 … min(n, sinks) − 1, and of
// max(sinks, n − (window − 1)) … n − 1. All else follows from n.
//
// Source: Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks"; the rolling buffer:
// Jiang et al. 2023, "Mistral 7B".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/make_cache.h"

namespace lastrow {

struct WindowRule {
  int32_t window = 0;        // keys that a query sees, its own included; at least 1
  int32_t sinks = 0;         // first keys of the sequence, which every query sees too
  int32_t longest_step = 0;  // tokens of one sequence that a step may feed; 1 with new positions
  Positions positions = Positions::kept;
  bool operator==(const WindowRule&) const = default;
};

/// The rule that the options and the sizes give. Throws as window_spec does, and UsageError for new
/// positions in steps of several tokens.
WindowRule window_rule(const CacheOptions& options, const CacheSizes& sizes);
/// The spec of the cache for them. The ring is never longer than the context. Throws UsageError if there is
/// no window, ShapeError if the blocks are too long.
CacheSpec window_spec(const CacheOptions& options, const CacheSizes& sizes);

class WindowCache final : public KvCache {
 public:
  /// Throws as validate does, and ShapeError if the blocks of the spec are not those that the rule needs.
  WindowCache(const CacheSpec& spec, int32_t n_seqs, WindowRule rule);

  const CacheSpec& spec() const override { return spec_; }
  int32_t n_seqs() const override { return static_cast<int32_t>(seen_.size()); }
  int32_t n_seen(int32_t sequence) const override;
  int32_t length(int32_t sequence) const override;
  int64_t slot(int32_t sequence, int32_t index) const override;
  int32_t position_of(int32_t sequence, int32_t index) const override;

  /// Throws CapacityError also for more than longest_step tokens of one sequence.
  const StepPlan& plan(std::span<const SequenceInput> inputs) override;
  void commit(const StepPlan& plan) override;
  void abort(const StepPlan& plan) override;

  void truncate(int32_t sequence, int32_t n_tokens) override;
  /// Possible if the sequence held no row then that it has forgotten since.
  bool can_truncate(int32_t sequence, int32_t n_tokens) const override;
  void fork(int32_t from, int32_t to) override;
  int32_t adopt_prefix(int32_t sequence, std::span<const int32_t> tokens) override;
  std::span<const EvictedRow> evicted() const override { return evicted_; }
  CacheUsage usage() const override;
  void copy_from(const KvCache& other) override;

  const WindowRule& rule() const { return rule_; }

 private:
  int32_t n_sink_blocks() const { return (rule_.sinks + spec_.block_len - 1) / spec_.block_len; }
  int32_t n_ring_blocks() const { return spec_.table_len - 1 - n_sink_blocks(); }
  int32_t blocks_per_seq() const { return n_sink_blocks() + n_ring_blocks(); }
  bool uses_new_positions() const { return rule_.positions == Positions::renumbered; }
  /// The first position that the ring holds, after n tokens.
  int32_t ring_begin(int32_t n) const;
  int32_t rows_after(int32_t n) const;
  int32_t position_at(int32_t n, int32_t index) const;
  int64_t slot_at(int32_t sequence, int32_t position) const;
  void require_held(int32_t sequence, int32_t index) const;
  void lay_out_table(const SequenceInput& input);

  CacheSpec spec_;
  WindowRule rule_;
  std::vector<int32_t> seen_;    // [n_seqs]
  std::vector<int32_t> blocks_;  // [n_seqs, blocks_per_seq]   of each sequence: for the sinks, then its ring
  std::vector<EvictedRow> evicted_;  // by the last commit
  int64_t rows_evicted_ = 0;
  StepPlan plan_;
  bool planned_ = false;
};

}  // namespace lastrow
