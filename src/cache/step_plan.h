// One forward step as plain arrays: what the cache policy decided, and all that a backend needs to run it.
//
//   const StepPlan& plan = cache.plan(inputs);                    fills it, on the host
//   const Batch& batch = backend.begin_step(plan, storage);       copies it to the device, in one upload
//
// Sequences are packed one after the other, without padding: sequence i has the tokens
// q_start[i] … q_start[i+1] − 1. The faults of the lessons change this struct.
//
// If the windowed layers have blocks of their own (CacheSpec::windowed), they also have a plan of their own, of
// the same tokens: plan.of_layer(layer). The plan itself is that of all other layers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace lastrow {

struct BlockCopy {
  int32_t from_block, to_block;  // in every layer, K and V
};

struct StepPlan {
  std::vector<int32_t> tokens;          // [n_tokens]
  std::vector<int32_t> positions;       // [n_tokens]                 numbers in the text
  std::vector<int32_t> q_start;         // [n_seqs + 1]               first token of each; then n_tokens
  std::vector<int32_t> kv_len;          // [n_seqs]                   rows after the append of this step
  std::vector<int32_t> block_tables;    // [n_seqs, blocks_per_seq]   −1 where a sequence has fewer blocks
  std::vector<int64_t> append_slots;    // [n_tokens]                 slots of the tokens' K and V rows
  std::vector<BlockCopy> block_copies;  // [n_copies]                 done before the operations
  std::vector<int32_t> logit_rows;      // [n_rows]                   tokens that need logits, ascending
  std::vector<int32_t> sequences;       // [n_seqs]                   the cache's ids, for commit and abort
  int32_t blocks_per_seq = 0;
  int32_t block_len = 0;
  // The policy's own mask, beside the one of the model. 0: none.
  int32_t window = 0, window_sinks = 0;  // a query sees the last `window` keys and the first `window_sinks`
  // Only for caches that forget rows:
  int32_t table_sinks = 0;             // BlockTable::sinks of every sequence
  bool wants_mass = false;             // the forward also computes what KvCache::add_mass takes
  std::vector<int32_t> table_first;    // [n_seqs]                    BlockTable::first; empty: all 0
  std::vector<int32_t> key_positions;  // [n_seqs, keys_per_seq()]    position of index s; empty: it is s
  // Only if the cache uses new positions, else empty. RoPE and ALiBi go by these; K is stored before RoPE.
  std::vector<int32_t> new_positions{};      // [n_tokens]
  std::vector<int32_t> new_key_positions{};  // [n_seqs, keys_per_seq()]
  // Only if K has scales for channels (cache/sealing.h), else empty:
  std::vector<int32_t> open_blocks{};  // [n_blocks]   open block of each block; −1: it is sealed, or unused
  std::vector<int64_t> open_slots{};   // [n_tokens]   where the K rows of the tokens go
  std::vector<int32_t> seals{};        // [n_seals]    blocks that the step seals, in every layer
  // Only if the windowed layers have blocks of their own (CacheSpec::windowed):
  int32_t windowed_every = 0;           // WindowedLayers::every
  std::vector<StepPlan> of_windowed{};  // [1]: the plan of the windowed layers; else empty

  int32_t n_tokens() const { return static_cast<int32_t>(tokens.size()); }
  int32_t n_seqs() const { return static_cast<int32_t>(kv_len.size()); }
  int32_t n_logit_rows() const { return static_cast<int32_t>(logit_rows.size()); }
  /// The most rows that the table of a sequence has room for.
  int32_t keys_per_seq() const { return blocks_per_seq * block_len; }
  int32_t q_len(int32_t i) const { return q_start[i + 1] - q_start[i]; }
  bool is_windowed(int32_t layer) const { return windowed_every > 0 && layer % windowed_every == 0; }
  /// The plan whose blocks this layer uses.
  const StepPlan& of_layer(int32_t layer) const { return is_windowed(layer) ? of_windowed.front() : *this; }

  bool uses_new_positions() const { return !new_positions.empty(); }
  /// The positions that RoPE and ALiBi go by: the new ones if there are any.
  const std::vector<int32_t>& effective_positions() const {
    return uses_new_positions() ? new_positions : positions;
  }
  const std::vector<int32_t>& effective_key_positions() const {
    return uses_new_positions() ? new_key_positions : key_positions;
  }

  /// The index at which sequence i holds this position, after the append of this step. Without
  /// key_positions, the last token of the sequence has the last index, and one position less is one index
  /// less. None if the sequence does not hold the position. Also none if the sequence has no token in this
  /// step, because then no query reads the row.
  std::optional<int32_t> index_of(int32_t i, int32_t position) const;

  /// Empties every array and keeps its memory, so that steady decode allocates nothing.
  void clear();
  /// Makes room for a step of the largest size, once.
  void reserve(int32_t max_tokens, int32_t max_seqs, int32_t max_blocks_per_seq);
};

}  // namespace lastrow
