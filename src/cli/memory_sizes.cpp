#include "cli/memory_sizes.h"

#include <algorithm>

#include "core/error.h"

namespace lastrow::cli {

std::string ComputedMemory::formula() const {
  if (alternating)
    return fmt::format("{}; and {}; together {} bytes = {}", ring->formula, paged->formula,
                       with_commas(bytes()), gib_and_gb(bytes()));
  return ring ? ring->formula : paged ? paged->formula : whole.formula;
}

namespace {

/// The same rules as those of a session (session/session_cache.h).
void require_new_positions(const ModelShape& shape, const CacheOptions& cache) {
  if (cache.windowed_every > 0)
    throw UsageError(
        "only 1 of every {} layers of {} has a window, and positions=new needs one for every layer: choose "
        "it, window:w=W,positions=new",
        shape.window_period, shape.name);
  if (shape.learned_positions)
    throw UsageError(
        "{} adds a learned embedding of the position to each token, so a cache cannot use new positions: "
        "use positions=kept",
        shape.name);
  if (const int64_t n = int64_t{cache.window} + cache.sinks; n > shape.max_seq_len)
    throw UsageError(
        "positions=new gives {} keys the positions 0 to {}, but the context of {} has only {} positions: "
        "choose "
        "a smaller window, so that window + sinks is at most {}",
        n, n - 1, shape.name, shape.max_seq_len, shape.max_seq_len);
}

}  // namespace

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
    if (s.cache.positions == Positions::renumbered) require_new_positions(shape, s.cache);
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
