// A recorded history as one safetensors file, and back.
//
//   write_trace("run.safetensors", recorder, {.config_json = to_json(config), .tokens = tokens});
//   TraceFile trace = TraceFile::open("run.safetensors");
//   trace.recorder.tensors(3);   Lineage(trace.recorder);     as if it had just been recorded
//
// Any safetensors reader opens it. What is in it:
//   LAYER/NAME          one recorded tensor ("0/attend.q", "-1/lm_head"), its steps one after the other:
//                       along the first dimension if the others are the same in all steps, else flat,
//                       [n_elems]
//   LAYER/NAME.index    [n, 9] i64   step, sequence, first, count (of the first dimension), rank, d0 … d3
//   LAYER/kv.k, kv.v    [n, n_kv_heads, head_dim]   K and V rows, decoded, each stored again only where its
//                       bits differ
//   LAYER/kv.k.index    [n, 2] i64   slot, step that it was first seen in so: "K at step t" is, for each
//                       slot, the latest version whose step is ≤ t; kv.v.index likewise
//   steps.index         [n_steps, 3] i64            step, blocks_per_seq, block_len
//   steps.tokens, .positions, .q_start, .kv_len, .block_tables, .append_slots, .logit_rows, .sequences,
//   .block_copies       the StepPlans' arrays, steps one after the other, i64
//   steps.ends          [n_steps, 9] i64            where each step ends in those arrays, in that order
//   events.columns      [n_events, 9] i64           step, op, layer, name, causal, window, then where the
//                                                   event ends in events.reads and in events.writes, then
//                                                   the kernel (counted as names are; −1: none)
//   events.costs        [n_events, 5] i64           flop, weight, cache read, cache written, activation bytes
//   events.times_us     [n_events, 2] f64           start, duration
//   events.reads, .writes  [n, 5] i64               space, id, first, count, version (trace/event.h)
// and in the metadata: lastrow.trace = schema version, lastrow.config, lastrow.tokens (JSON array),
// lastrow.names (JSON array that columns "name" and "kernel" count in), lastrow.ops, lastrow.cache (JSON),
// lastrow.truncated, lastrow.stored (JSON {"not_finite", "at_limit"}: elements of K and V at the end).
//
// The file appears whole or not at all. open() believes nothing: every number is checked against what it
// counts, and anything wrong is one FileError.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "trace/recorder.h"

namespace lastrow {

inline constexpr int kTraceSchema = 1;

class AtomicFile;

struct TraceInfo {
  std::string config_json{};      // of the model; "" if there is none
  std::vector<int32_t> tokens{};  // the whole text, as far as it went
  // Elements of K and V in the cache at the end, by which one sees what their type could not hold:
  int64_t n_stored_not_finite = 0;  // NaN or infinite
  int64_t n_stored_at_limit = 0;    // of fp8, ±448, where it saturates
};

/// Throws FileError if the file cannot be written.
void write_trace(const std::filesystem::path& path, const Recorder& recorder, const TraceInfo& info);
/// The same into a file that the caller commits.
void write_trace(AtomicFile& file, const Recorder& recorder, const TraceInfo& info);

struct TraceFile {
  Recorder recorder;
  TraceInfo info;
  bool truncated = false;  // the recording had met its memory bound

  static TraceFile open(const std::filesystem::path& path);
};

}  // namespace lastrow
