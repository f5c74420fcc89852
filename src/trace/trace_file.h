// Writes a recorded history to one safetensors file, and reads it back.
//
//   write_trace("run.safetensors", recorder, {.config_json = to_json(config), .tokens = tokens});
//   TraceFile trace = TraceFile::open("run.safetensors");
//   trace.recorder.tensors(3);   Lineage(trace.recorder);      as if it had just been recorded
//
// write_trace writes the whole file or nothing. open() checks every number before it uses it, and throws
// FileError if anything is wrong.
//
// Any safetensors reader opens the file. Its tensors:
//   LAYER/NAME         a recorded tensor ("0/attend.q", "-1/lm_head"), all steps one after the other. If the
//                      steps differ only in the first dimension, they are joined along it; else the tensor is
//                      flat, [n_elems].
//   LAYER/NAME.index   [n, 9] i64                  step, sequence, first, count, rank, d0 … d3;
//                                                  first and count are in the first dimension
//   LAYER/kv.k, kv.v   [n, n_kv_heads, head_dim]   decoded rows, each stored again only if its bits changed
//   LAYER/kv.k.index   [n, 2] i64                  slot, first step of this version; the same for kv.v.index.
//                                                  K at step t: each slot's latest version of a step ≤ t
//   steps.index        [n_steps, 3] i64            step, blocks_per_seq, block_len
//   steps.NAME         i64                         the arrays of the StepPlans, steps one after the other.
//                                                  NAME: tokens, positions, q_start, kv_len, block_tables,
//                                                  append_slots, logit_rows, sequences, block_copies
//   steps.ends         [n_steps, 9] i64            where each step ends in these nine arrays, in this order
//   steps.policy       [n_steps, 5] i64            only for a cache with a window, or one that forgets rows:
//                                                  window, window_sinks, table_sinks, end in steps.table_first,
//                                                  end in steps.key_positions (both i64, as in StepPlan)
//   steps.new_positions, steps.new_key_positions   i64, as in StepPlan; only if the cache uses new positions.
//                                                  They end where steps.tokens and steps.key_positions end. K is
//                                                  then stored before RoPE, so LAYER/kv.k are raw rows
//   windowed.NAME                                  only if the windowed layers have blocks of their own: the same
//                                                  arrays (index, tokens, …, policy) of their plans
//   evicted.rows       [n, 4] i64                  only if the cache forgot rows: step, sequence, position, slot
//   evicted.mass       [n] f64                     likewise: the attention that the row got, if the policy goes
//                                                  by it
//   events.columns     [n_events, 9] i64           step, op, layer, name, causal, window, end in
//                                                  events.reads, end in events.writes, kernel (−1: none)
//   events.sinks       [n_events] i64              only if some attend has sinks
//   events.costs       [n_events, 5] i64           flop, then bytes: weights, cache read, cache written,
//                                                  activations
//   events.scratch     [n_events] i64              only if some event uses a scratch: OpCost::scratch_bytes
//   events.times_us    [n_events, 2] f64           start, duration
//   events.reads       [n, 5] i64                  space, id, first, count, version (ops/rows.h)
//   events.writes      [n, 5] i64                  the same
//
// Its metadata:
//   lastrow.trace       schema version: 1; 2 if the file has steps.policy; 3 if it has windowed.NAME; 4 if it has
//                       steps.new_positions
//   lastrow.config      the model's config (JSON)
//   lastrow.tokens      JSON array
//   lastrow.names       JSON array; "name" and "kernel" in events.columns are indices in it
//   lastrow.ops         JSON array; "op" in events.columns is an index in it
//   lastrow.cache       the CacheSpec (JSON)
//   lastrow.cache_name  the cache as in --cache, "paged:block=16"; absent if it is not known
//   lastrow.kv_dtype    the types of K and V as in --kv-dtype, "int8"; likewise
//   lastrow.stored      JSON {"not_finite", "at_limit"}: numbers of elements of K and V at the end
//   lastrow.truncated   "true" or "false"
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "trace/recorder.h"

namespace lastrow {

inline constexpr int kTraceSchema = 1;
inline constexpr int kPolicySchema = 2;  // of files with steps.policy: older programs must not misread them
inline constexpr int kGroupsSchema = 3;  // of files with windowed.NAME
inline constexpr int kNewPositionsSchema = 4;  // of files with steps.new_positions
/// How the names of the arrays of the plans begin, by group of layers (CacheSpec::group).
inline constexpr const char* kStepPlaces[] = {"steps", "windowed"};

class AtomicFile;

struct TraceInfo {
  std::string config_json{};      // the model's config; "" if there is none
  std::vector<int32_t> tokens{};  // the whole text so far; empty if there are several texts
  std::string cache{};            // as in --cache; "" if it is not known
  std::string kv_dtype{};         // as in --kv-dtype; likewise
  // Elements of K and V in the cache at the end. They show values that the stored type could not hold:
  int64_t n_stored_not_finite = 0;  // NaN or infinite
  int64_t n_stored_at_limit = 0;    // fp8 only: ±448, where it saturates
};

/// Throws FileError if the file cannot be written.
void write_trace(const std::filesystem::path& path, const Recorder& recorder, const TraceInfo& info);
/// Writes to a file that the caller commits.
void write_trace(AtomicFile& file, const Recorder& recorder, const TraceInfo& info);

struct TraceFile {
  Recorder recorder;
  TraceInfo info;
  bool truncated = false;  // the recording reached its max_bytes, so something was left out

  static TraceFile open(const std::filesystem::path& path);
};

}  // namespace lastrow
