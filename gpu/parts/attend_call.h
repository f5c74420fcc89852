// One call of attention on a device, as the host describes it: sizes, addresses, mask. It includes no CUDA.
//
//   AttendShape    the sizes of the problem
//   DeviceLimits   what the device has room for
//   AttendTuning   what a caller may choose instead of the rung
//   AttendTask     the three together: they decide which rung can take the call, and how much scratch it needs
//   ChannelStorage where K is, if it has a scale for each channel of a block
//   AttendCall     the task and the addresses: what a rung's launcher takes (ladder.h)
//
// Sizes are upper bounds, which the host knows before it knows the lengths. A rung makes its grid from them,
// and its blocks return early where a sequence is shorter. So one recorded graph serves every step.
#pragma once

#include <cstdint>
#include <string>

#include "attention/score.h"
#include "cache/index.h"
#include "cache/kv_codec.h"

namespace lastrow::gpu {

struct AttendShape {
  int32_t n_q_heads = 1, n_kv_heads = 1, head_dim = 8;
  KvDtypes kv_dtype{};
  int32_t n_tokens = 1, n_seqs = 1;
  int32_t max_q_len = 1;   // queries of the longest sequence in the step
  int32_t max_kv_len = 1;  // keys of the longest sequence, now and in later steps of the same graph
  int32_t block_len = 1, blocks_per_seq = 1;
  int64_t n_blocks = 1;
  int32_t table_sinks = 0;       // BlockTable::sinks of every sequence
  bool sinks_apart = false;      // the keys that a query sees may be two ranges (has_sinks_apart)
  bool finishes_scores = false;  // there is a soft cap or ALiBi

  int32_t group_size() const { return n_q_heads / n_kv_heads; }
  RowLayout layout() const { return {n_kv_heads, block_len, head_dim}; }

  /// For rungs that know no more rules: why they cannot take the shape; empty if they can.
  std::string beyond_a_scale() const { return finishes_scores ? "it takes no soft cap or ALiBi" : ""; }
  std::string beyond_a_scale_and_a_window() const {
    return finishes_scores || sinks_apart ? "it takes no soft cap, ALiBi or sinks" : "";
  }
};

/// Whether the visible keys may be two ranges: by the mask, or because rows behind the sinks lie elsewhere.
constexpr bool has_sinks_apart(const MaskRule& mask, int32_t table_sinks) {
  return (mask.window > 0 && mask.sinks > 0) || table_sinks > 0;
}

/// Without more knowledge, and under the emulator: those of an H100.
struct DeviceLimits {
  int32_t n_multiprocessors = 132;                // the split count is chosen for this many
  int64_t max_shared_bytes = int64_t{227} << 10;  // per block
};

struct AttendTuning {
  int32_t n_splits = 0;  // parts that each sequence's K/V are split into; 0: by the cost model (split_plan.h)
  int32_t n_parts = 0;   // parts of q and p in products on tensor cores; 0: enough for float (float_parts.h)
};

struct AttendTask {
  AttendTask(const AttendShape& shape_ = {}, DeviceLimits device_ = {}, AttendTuning tuning_ = {})
      : shape(shape_), device(device_), tuning(tuning_) {}
  AttendShape shape;
  DeviceLimits device;
  AttendTuning tuning;
};

/// K of one layer with scales for channels (cache/kv_channels.h), as KvStorage says. Stored: void, or const void where K
/// is only read.
template <typename Stored>
struct ChannelStorage {
  Stored* codes;               // [n_blocks, n_kv_heads, block_len, head_dim]
  Stored* scales;              // [n_blocks, n_kv_heads, head_dim]
  Stored* open_keys;           // [n_open_blocks, n_kv_heads, block_len, head_dim]
  const int32_t* open_blocks;  // [n_blocks]   StepPlan::open_blocks
  RowLayout layout;
  int64_t n_blocks, n_open_blocks;

  int64_t n_elems() const { return n_blocks * layout.block_len * channels(); }
  int64_t n_open_elems() const { return n_open_blocks * layout.block_len * channels(); }
  int64_t n_scales() const { return n_blocks * channels(); }
  int64_t channels() const { return int64_t{layout.n_kv_heads} * layout.head_dim; }  // of a block
};

struct AttendCall {
  AttendTask task;
  AttendSpec spec;
  const float* q;                   // [n_tokens, n_q_heads, head_dim]
  const void *k, *v;                // [n_blocks, n_kv_heads, block_len, head_dim] of kv_dtype
  const void *k_scales, *v_scales;  // as KvStorage::scales says; null where kv_dtype has none
  const int32_t* q_start;           // [n_seqs + 1]
  const int32_t* kv_len;            // [n_seqs]
  const int32_t* seq_of_token;      // [n_tokens]
  const int32_t* block_tables;      // [n_seqs, blocks_per_seq]
  float* out;                       // [n_tokens, n_q_heads, head_dim]
  float* lse;                       // [n_tokens, n_q_heads]   natural log
  float* scratch;                   // [scratch_elems(task)]
  // Only where a rule needs them; else null:
  const float* slopes = nullptr;         // [n_q_heads]                ALiBi
  const int32_t* table_first = nullptr;  // [n_seqs]                   BlockTable::first
  const int32_t* positions = nullptr;    // [n_tokens]                 with key_positions
  const int32_t* key_positions =
      nullptr;  // [n_seqs, keys_per_seq]     the position of an index, if it differs
  ChannelStorage<const void> k_channels{};  // in place of k and k_scales, if K has scales for channels
};

/// Whether a call has more than a scale, one range of keys for each query, and tables that begin at place 0.
inline bool has_rules(const AttendCall& c) {
  return c.task.shape.sinks_apart || c.task.shape.finishes_scores || c.table_first != nullptr;
}

}  // namespace lastrow::gpu
