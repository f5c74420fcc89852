// What `lastrow memory` computes, before it is shown: the sizes of one kind of cache for one model.
//
//   const ComputedMemory m = compute_memory(shape, cache_options("paged"), 8192, 1, cache_formats_of("f16"));
//   m.bytes(); m.formula()
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cache/cache_options.h"
#include "cost/memory.h"

namespace lastrow::cli {

/// What was computed: for one block a sequence, for a pool of blocks if --cache is paged, and for rings if it
/// is a window.
struct ComputedMemory {
  CacheOptions cache;
  int64_t context = 0;
  CacheMemory whole{};  // of a paged cache only weights_bytes
  std::optional<PagedMemory> paged{};
  std::optional<WindowMemory> ring{};
  std::optional<AlternatingMemory> alternating{};
  std::optional<int64_t> crossing{};  // the context from which the cache exceeds the weights

  bool fixed_pool() const { return paged && cache.n_blocks > 0; }
  /// The sizes of a pool or of rings do not follow the formula of one block.
  bool in_blocks() const { return paged || ring; }
  int64_t bytes() const {
    if (alternating) return alternating->bytes();
    return ring ? ring->bytes : paged ? paged->bytes : whole.bytes;
  }
  /// A text of this context fills all slots that it can ever have, so a token takes those of a forgotten one.
  bool is_full() const { return ring && context >= most_stored(); }
  bool has_window() const { return cache.kind == "window"; }
  /// The rows that a sequence holds between steps, if its text is long.
  int64_t most_kept() const {
    return has_window() ? int64_t{cache.sinks} + cache.window - 1 : int64_t{cache.budget};
  }
  /// The slots of a sequence with a long text: the rows that it keeps, and room for one chunk of a prompt.
  int64_t most_stored() const { return most_kept() + prompt_chunk(cache, kMaxContext); }
  int64_t bytes_per_token() const {
    const int64_t of_ring = ring && !is_full() ? ring->bytes_per_token : 0;
    if (ring && !paged) return of_ring;
    return paged ? of_ring + paged->bytes_per_token : whole.bytes_per_token;
  }
  /// The layers that one more token adds rows to.
  int64_t growing_layers(const ModelShape& shape) const {
    if (alternating && is_full()) return alternating->n_full_layers;
    return is_full() ? 0 : in_blocks() ? shape.n_layers : whole.n_growing_layers;
  }
  std::string formula() const;
};

/// Throws UsageError for a cache that the model cannot have, ShapeError as the formulas of cost/memory.h do.
ComputedMemory compute_memory(const ModelShape& shape, const CacheOptions& cache, int64_t context,
                              int64_t batch, const CacheFormats& formats);

}  // namespace lastrow::cli
