#include "session/counted_step.h"

namespace lastrow {

int64_t bytes_held(const KvCache& cache, const KvStorage& storage) {
  int64_t bytes = storage.open_bytes();  // reserved for the text all along
  for (int32_t i = 0; i < cache.spec().n_groups(); ++i)
    bytes += cache.group(i).usage().blocks_used * storage.block_bytes(i);
  return bytes;
}

StepRecord counted_step(const StepCounts& counts, int64_t bytes_held, const CacheUsage& before,
                        const CacheUsage& after) {
  return {.q_rows = counts.q_rows,
          .kv_rows_projected = counts.kv_rows_projected,
          .score_cells = counts.score_cells,
          .cache_bytes_read = counts.cost.cache_bytes_read,
          .cache_bytes_written = counts.cost.cache_bytes_written,
          .kv_scratch_bytes = counts.cost.scratch_bytes,
          .rows_held = after.rows_held,
          .rows_evicted = after.rows_evicted - before.rows_evicted,
          .blocks_used = after.blocks_used,
          .blocks_shared = after.blocks_shared,
          .bytes_held = bytes_held,
          .weight_bytes = counts.cost.weight_bytes,
          .flop = counts.cost.flop};
}

}  // namespace lastrow
