// The part of a StepRecord that every kind of session fills in alike: what the operations of the step
// counted, and what the cache holds after it.
#pragma once

#include "cache/kv_cache.h"
#include "ops/kv_storage.h"
#include "session/step_record.h"
#include "trace/counting.h"

namespace lastrow {

/// The bytes of all blocks that sequences hold, in all layers.
int64_t bytes_held(const KvCache& cache, const KvStorage& storage);

/// `before` and `after` are the usage of the cache before and after the step. The caller sets the remaining
/// fields: position, phase, lengths and time.
StepRecord counted_step(const StepCounts& counts, int64_t bytes_held, const CacheUsage& before,
                        const CacheUsage& after);

}  // namespace lastrow
