// What one step did, counted from the operations that ran. Rows are counted over all layers. Score cells are
// counted over all layers and all heads.
//
//   const StepRecord& record = session.advance();   or session.record(), for the current step
#pragma once

#include <cstdint>

namespace lastrow {

enum class Mode : uint8_t { cached, recompute };
enum class Phase : uint8_t { prefill, decode };
const char* name_of(Mode mode);
const char* name_of(Phase phase);

struct StepRecord {
  int32_t position = 0;          // position of the step's last token
  Phase phase = Phase::prefill;  // prefill: the tokens were given; decode: one, chosen or forced
  int32_t q_len = 0;             // tokens fed
  int32_t kv_len = 0;  // rows of a layer of group 0, this step's included, before the policy forgets any
  int64_t q_rows = 0;  // rows of Q projected: q_len · n_layers
  int64_t kv_rows_projected = 0;  // rows of K (and as many of V) projected: q_len · n_layers
  int64_t score_cells = 0;        // visible (query head, query, key) triples
  // Mode::cached: K/V rows that attention read, once per step and K/V head. If the policy goes by attention, K
  // is read twice (ops/score_mass.h).
  int64_t cache_bytes_read = 0;
  int64_t cache_bytes_written = 0;  // Mode::cached: K/V rows appended
  // Read and written; the rows last for one step only. Mode::recompute: all its rows. Mode::cached: the rotated
  // keys, if the cache uses new positions.
  int64_t kv_scratch_bytes = 0;
  // The cache after the step, in Mode::cached; 0 in Mode::recompute. Rows and blocks are those of one layer of
  // group 0 (CacheSpec::group). rows_evicted is of the group that forgets, bytes_held of all layers.
  int64_t rows_held = 0;
  int64_t rows_evicted = 0;   // rows that the policy forgot in this step
  int32_t blocks_used = 0;    // blocks that hold these rows
  int32_t blocks_shared = 0;  // of these, blocks that two or more sequences hold
  // Bytes of K and V in all layers: the blocks used, as whole blocks, and the open blocks if K has scales for channels.
  int64_t bytes_held = 0;
  // Elements of the new K and V rows that the stored type cannot hold: they became infinite (f16, bf16) or its
  // largest number (fp8, int4, fp4). −1: not counted, because kernels store the rows.
  int64_t n_saturated = 0;
  int64_t weight_bytes = 0;
  int64_t flop = 0;
  double wall_us = 0;  // time of the forward, including the decorators
};

}  // namespace lastrow
