#include "cli/memory_sizes.h"

#include <algorithm>

#include "core/error.h"
#include "session/session_cache.h"

namespace lastrow::cli {

std::string ComputedMemory::formula() const {
  if (alternating)
    return fmt::format("{}; and {}; together {} bytes = {}", ring->formula, paged->formula,
                       with_commas(bytes()), gib_and_gb(bytes()));
  return ring ? ring->formula : paged ? paged->formula : whole.formula;
}

ComputedMemory compute_memory(const ModelShape& shape, const CacheOptions& cache, int64_t context,
                              int64_t batch, const CacheFormats& formats) {
  ComputedMemory s{.cache = cache, .context = context};
  if (shape.window > 0 && (s.cache.kind == "budget" || s.cache.sinks > 0))
    throw UsageError(
        "{} has layers with a window of their own, so it takes no cache with sinks or a budget: use "
        "contiguous, paged or window:w=W",
        shape.name);
  if (s.cache.kind == "paged")
    s.whole.weights_bytes = weights_bytes(shape);  // the rest needs rows whose scales are their own
  else
    s.whole = cache_memory(shape, s.context, batch, formats);
  if (s.cache.kind == "window" || s.cache.kind == "budget") {
    if (s.cache.kind == "window" && s.cache.window == 0 && shape.window > 0) {
      s.cache.window = static_cast<int32_t>(std::min<int64_t>(shape.window, kMaxContext));
      if (shape.n_window_layers() < shape.n_layers)
        s.cache.windowed_every = static_cast<int32_t>(shape.window_period);
    }
    if (s.cache.positions == Positions::renumbered) require_new_positions(s.cache, shape);
    const int64_t chunk = prompt_chunk(s.cache, s.context);
    if (s.cache.windowed_every > 0) {
      s.alternating = alternating_memory(shape, s.context, batch, formats, s.cache, chunk);
      s.ring = s.alternating->windowed;
      s.paged = s.alternating->full;
    } else {
      s.ring = window_memory(shape, s.context, batch, formats, s.cache, chunk);
    }
    s.crossing = forgetting_crossing_context(shape, batch, formats, s.cache);
    return s;
  }
  if (s.cache.kind != "paged") {
    s.crossing = crossing_context(shape, batch, formats);
    return s;
  }
  s.paged = paged_memory(shape, s.context, batch, formats, s.cache.block_len, s.cache.n_blocks);
  if (!s.fixed_pool()) s.crossing = paged_crossing_context(shape, batch, formats, s.cache.block_len);
  return s;
}

}  // namespace lastrow::cli
