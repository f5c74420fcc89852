// Blocks of fixed size from one pool. A sequence takes a block when it needs one, so its length need not be
// known in advance, and sequences can share blocks.
//
//   PagedCache cache(spec, n_seqs);                           spec: n_blocks blocks of block_len indices
//   PagedCache cache(spec, n_seqs, SharePrefixes::yes);       finds the rows of texts that begin alike
//
// How to call it, and what never to do, is in cache/kv_cache.h. Index = position; no row is forgotten.
//
//   length 6, block_len 4:     block table of sequence 0   [ 7, 2 ]
//                              indices 0–3 are in block 7, indices 4 and 5 in block 2
//   after fork(0, 1):          block table of sequence 1   [ 7, 2 ], and blocks 7 and 2 have two holders
//   a token for sequence 0:    block 2 is shared, so sequence 0 gets a copy of it, block 9: [ 7, 9 ]
//   then one for sequence 1:   it is the only holder of block 2, so it writes there
//
// A step writes only the last block of a sequence, at indices ≥ length, and new blocks behind it. A written
// block has left the prefix index, and after the step exactly one sequence holds it. If the pool has
// room for all sequences at their longest, without sharing, no step is refused for lack of blocks.
//
// With SharePrefixes::yes, commit puts each block that became full into the prefix index
// (cache/prefix_index.h). When no sequence holds such a block any more, it is *cached*: a text that begins
// with the same tokens adopts it, until a step needs the block. Steps take the free blocks first, then the
// cached ones, the least recently used first. A block and all blocks after it leave the index in two
// cases: a sequence was truncated to a length inside it and then writes, or truncate() gives it back.
//
// plan() chooses blocks, but takes none. Commit takes them. It takes the same blocks, because nothing may
// change the cache in between. After abort() the cached blocks that the step would have taken are free,
// because the step may have written to them. Nothing else differs from the state before plan().
//
// If K has scales for channels (CacheSpec::n_open_blocks), plan() also says where the rows of the blocks that are not
// sealed are, and which blocks the step seals (cache/sealing.h). Such a cache shares no blocks.
//
// Invariant: the entries of a table up to its last block are blocks that the pool counts as held, once for
// each table that contains them; the other entries are −1. A block that several tables contain has the same
// place in each of them. If a block of a table is in the index, the block before it is its parent there.
//
// Source: paged attention with a block table and copy-on-write, Kwon et al. 2023 (vLLM).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/block_pool.h"
#include "cache/kv_cache.h"
#include "cache/prefix_index.h"

namespace lastrow {

enum class SharePrefixes : uint8_t { no, yes };

class PagedCache final : public KvCache {
 public:
  /// Throws as validate does, ShapeError if block_len is larger than max_seq_len or n_seqs is below 1.
  PagedCache(const CacheSpec& spec, int32_t n_seqs, SharePrefixes share = SharePrefixes::no,
             PrefixHash hash = prefix_hash);

  const CacheSpec& spec() const override { return spec_; }
  int32_t n_seqs() const override { return static_cast<int32_t>(lengths_.size()); }
  int32_t n_seen(int32_t sequence) const override { return length(sequence); }
  int32_t length(int32_t sequence) const override;
  int64_t slot(int32_t sequence, int32_t index) const override;
  int32_t position_of(int32_t sequence, int32_t index) const override;

  /// Throws CapacityError with the numbers of blocks if the pool has too few; also for more than
  /// CacheSpec::longest_step tokens of one sequence, if K has scales for channels.
  const StepPlan& plan(std::span<const SequenceInput> inputs) override;
  void commit(const StepPlan& plan) override;
  void abort(const StepPlan& plan) override;

  void truncate(int32_t sequence, int32_t n_tokens) override;
  /// Not if a block that was open then is sealed now.
  bool can_truncate(int32_t sequence, int32_t n_tokens) const override;
  void reset(int32_t sequence) override;
  void fork(int32_t from, int32_t to) override;
  int32_t adopt_prefix(int32_t sequence, std::span<const int32_t> tokens) override;
  CacheUsage usage() const override;
  PrefixCounts prefix_counts() const override { return counts_; }
  void copy_from(const KvCache& other) override;

 private:
  int32_t* table(int32_t sequence) { return tables_.data() + int64_t{sequence} * spec_.max_blocks_per_seq(); }
  const int32_t* table(int32_t sequence) const {
    return tables_.data() + int64_t{sequence} * spec_.max_blocks_per_seq();
  }
  /// Blocks that hold this many rows.
  int32_t blocks_for(int32_t length) const { return (length + spec_.block_len - 1) / spec_.block_len; }
  bool seals_blocks() const { return spec_.n_open_blocks > 0; }
  void require_held(int32_t sequence, int32_t index) const;
  bool stores_tail(int32_t sequence) const;
  void drop_block(int32_t sequence, int32_t place);

  // paged_plan.cpp
  void lay_out_table(std::span<const SequenceInput> inputs, const SequenceInput& input);
  bool keeps_shared_block(std::span<const SequenceInput> inputs, const SequenceInput& input) const;
  int32_t choose_block();
  void require_enough_blocks() const;
  void take_chosen_blocks();
  void lay_out_open_blocks();
  void hold_planned_blocks(int32_t i);

  // paged_prefixes.cpp
  int32_t n_cached() const { return prefixes_ ? prefixes_->n_idle() : 0; }
  int32_t parent_of(int32_t sequence, int32_t place) const;
  void evict(int32_t block);
  void forget(int32_t block);
  void note_writes();
  void share_full_blocks(int32_t sequence);

  CacheSpec spec_;
  BlockPool pool_;
  std::vector<int32_t> lengths_;  // [n_seqs]
  std::vector<int32_t> tables_;   // [n_seqs, max_blocks_per_seq]   −1 behind the last block
  std::optional<PrefixIndex> prefixes_;
  PrefixCounts counts_;
  StepPlan plan_;
  std::vector<int32_t> chosen_;  // blocks that the plan takes, in order; −1 where there was none left
  int32_t next_cached_ = PrefixIndex::kNone;  // the cached block that the plan takes next
  bool planned_ = false;
};

}  // namespace lastrow
