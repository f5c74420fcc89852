// How the queries and the stored rows of an attention problem are packed: sequences, lengths and blocks.
//
//   Packing p = one_sequence(q_len, kv_len);             one block
//   Packing p = read_packing(file, n_tokens, k);         from kv_len, q_len or q_start, and block_table
//   StepPlan plan = slice(p, first, n, spec);            a step of n of the queries
//
// Invariant: the blocks of each sequence hold its kv_len rows, and all numbers fit their arrays. read_packing
// checks it, because these numbers become addresses.
#pragma once

#include <cstdint>
#include <vector>

#include "attention/score.h"
#include "cache/index.h"
#include "cache/step_plan.h"
#include "cli/named_tensors.h"

namespace lastrow::cli {

struct Packing {
  std::vector<int32_t> q_start;       // [n_seqs + 1]
  std::vector<int32_t> kv_len;        // [n_seqs]
  std::vector<int32_t> block_tables;  // [n_seqs, blocks_per_seq]   −1 where a sequence has fewer blocks
  std::vector<int64_t> slots;         // [n_rows]                   the slot of each stored row
  int32_t blocks_per_seq = 1, block_len = 1, n_blocks = 1;
  bool paged = false;  // k and v of the file are in blocks: [n_blocks, n_kv_heads, block_len, head_dim]

  int32_t n_seqs() const { return static_cast<int32_t>(kv_len.size()); }
  int32_t n_tokens() const { return q_start.back(); }
  int64_t n_rows() const { return static_cast<int64_t>(slots.size()); }
  int32_t q_len(int32_t i) const { return q_start[i + 1] - q_start[i]; }
  int32_t max_kv_len() const;
  /// The sequence of a query, given as its packed token.
  int32_t sequence_of(int32_t token) const;
  /// Slots in storage that holds these blocks.
  int64_t n_slots() const { return int64_t{n_blocks} * block_len; }
};

/// The lengths of `attend` are at most this, so that they and their sums fit int32.
inline constexpr int64_t kMaxLength = int64_t{1} << 30;

Packing one_sequence(int32_t q_len, int32_t kv_len);

/// Whether the file says how its tensors are packed.
bool has_packing(const NamedTensors& file);

/// `n_tokens` are the queries of the file, `k` is the shape of its k. Throws FileError, with the value and
/// its place, for whatever does not fit.
Packing read_packing(NamedTensors& file, int64_t n_tokens, const Shape& k);

/// A step of n queries, from packed token `first` on. All sequences are in it; some may have no query. Each
/// query sees the same keys as in one large step. For this, if causal, a sequence ends earlier when its last
/// queries are not in the step. If not causal, it keeps its length, so ALiBi needs the positions of the keys.
StepPlan slice(const Packing& packing, int32_t first, int32_t n, const AttendSpec& spec);

}  // namespace lastrow::cli
