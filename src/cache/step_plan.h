// One forward step as plain arrays: what the cache policy decided, and everything a backend needs to run it.
//
// KvCache::plan fills it on the host; Backend::begin_step copies it to the device in one upload. Sequences
// are packed one after the other, never padded: sequence i owns tokens q_start[i] … q_start[i+1] − 1. The
// faults in the lessons change this struct.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace lastrow {

struct BlockCopy {
  int32_t from_block, to_block;  // in every layer, K and V
};

struct StepPlan {
  std::vector<int32_t> tokens;     // [n_tokens]
  std::vector<int32_t> positions;  // [n_tokens]         RoPE angle
  std::vector<int32_t> q_start;    // [n_seqs + 1]       first token of each sequence; last entry = n_tokens
  std::vector<int32_t> kv_len;     // [n_seqs]           indices visible after this step's append
  std::vector<int32_t> block_tables;  // [n_seqs, blocks_per_seq]   −1 where a sequence has fewer
  std::vector<int64_t> append_slots;  // [n_tokens]         where this token's K and V rows go
  std::vector<BlockCopy> block_copies;
  std::vector<int32_t> logit_rows;  // [n_rows]           tokens whose logits are wanted, ascending
  std::vector<int32_t> sequences;   // [n_seqs]           the cache's sequence ids, for commit and abort
  int32_t blocks_per_seq = 0;
  int32_t block_len = 0;

  int32_t n_tokens() const { return static_cast<int32_t>(tokens.size()); }
  int32_t n_seqs() const { return static_cast<int32_t>(kv_len.size()); }
  int32_t n_logit_rows() const { return static_cast<int32_t>(logit_rows.size()); }
  int32_t q_len(int32_t i) const { return q_start[i + 1] - q_start[i]; }

  /// The index at which sequence i holds this position after the step's append, if it does. The sequence's
  /// last token has the last index, and the positions of the indices before it count down one by one. None
  /// for a sequence without a token in this step, because no query reads it.
  std::optional<int32_t> index_of(int32_t i, int32_t position) const;

  /// Empties every array and keeps its memory, so that steady decode allocates nothing.
  void clear();
  /// Makes room for a step of the largest size, once.
  void reserve(int32_t max_tokens, int32_t max_seqs, int32_t max_blocks_per_seq);
};

}  // namespace lastrow
