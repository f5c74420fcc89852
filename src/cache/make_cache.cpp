#include "cache/make_cache.h"

#include <algorithm>
#include <limits>

#include "cache/alternating_cache.h"
#include "cache/budget_cache.h"
#include "cache/contiguous_cache.h"
#include "cache/paged_cache.h"
#include "cache/window_cache.h"
#include "core/error.h"

namespace lastrow {

void require_block_len(const CacheOptions& options, const CacheSizes& sizes) {
  if (sizes.n_seqs < 1) throw ShapeError("n_seqs is {}: it must be at least 1", sizes.n_seqs);
  if (options.block_len < 1 || options.block_len > sizes.max_seq_len)
    throw ShapeError("blocks of {} rows in a cache for {} tokens: choose block=1 to block={}",
                     options.block_len, sizes.max_seq_len, sizes.max_seq_len);
}

namespace {

CacheSpec contiguous_spec(const CacheOptions& options, const CacheSizes& sizes) {
  return CacheSpec::contiguous(sizes.n_layers, sizes.n_kv_heads, sizes.head_dim, sizes.max_seq_len,
                               sizes.n_seqs, options.dtypes());
}

CacheSpec paged_spec(const CacheOptions& options, const CacheSizes& sizes) {
  CacheSpec spec = contiguous_spec(options, sizes);
  require_block_len(options, sizes);
  spec.block_len = options.block_len;
  const int64_t enough = int64_t{sizes.n_seqs} * spec.max_blocks_per_seq();
  if (options.n_blocks == 0 && enough > std::numeric_limits<int32_t>::max())
    throw ShapeError("{} sequences of {} tokens need {} blocks, which are too many: use larger blocks",
                     sizes.n_seqs, sizes.max_seq_len, enough);
  spec.n_blocks = options.n_blocks == 0 ? static_cast<int32_t>(enough) : options.n_blocks;
  if (spec.n_blocks < spec.max_blocks_per_seq())
    throw ShapeError(
        "{} block{} of {} row{} are too few: the pool must hold one text of the whole context ({} tokens), "
        "so choose blocks={} or more",
        spec.n_blocks, spec.n_blocks == 1 ? "" : "s", spec.block_len, spec.block_len == 1 ? "" : "s",
        sizes.max_seq_len, spec.max_blocks_per_seq());
  if (has_channel_scales(options.dtype_k)) {
    spec.longest_step =
        sizes.longest_step == 0 ? sizes.max_seq_len : std::min(sizes.longest_step, sizes.max_seq_len);
    const int64_t n_open = int64_t{sizes.n_seqs} * spec.sealing().n_open();
    if (n_open > std::numeric_limits<int32_t>::max())
      throw ShapeError(
          "{} sequences in steps of {} tokens need {} open blocks, which are too many: use larger blocks",
          sizes.n_seqs, spec.longest_step, n_open);
    spec.n_open_blocks = static_cast<int32_t>(n_open);
  }
  return spec;
}

/// A window and sinks, if there are any, must make sense for this kind of cache and this context.
void require_mask(const CacheOptions& options, const CacheSizes& sizes) {
  if (options.window < 0 || options.sinks < 0)
    throw ShapeError("window {}, sinks {}: neither may be negative", options.window, options.sinks);
  if (options.window == 0 && options.sinks > 0 && options.kind == "contiguous")
    throw UsageError("{} sinks without a window change nothing: choose contiguous:window=W,sinks={}",
                     options.sinks, options.sinks);
  if (options.sinks > 0 && options.sinks >= sizes.max_seq_len)
    throw ShapeError("{} sinks in a context of {} tokens leave no room for a window: choose sinks=0 to {}",
                     options.sinks, sizes.max_seq_len, sizes.max_seq_len - 1);
  if (options.positions == Positions::renumbered && options.kind != "window")
    throw UsageError("a {} cache keeps the positions of its rows: only a window cache takes positions=new",
                     options.kind);
  if (options.kind == "paged" && (options.window > 0 || options.sinks > 0))
    throw UsageError("a paged cache has no window: choose window:w=W or contiguous:window=W");
}

}  // namespace

CacheSpec cache_spec(const CacheOptions& options, const CacheSizes& sizes) {
  if (options.share_prefix && options.kind != "paged")
    throw UsageError("a {} cache cannot share prefixes: use a paged cache", options.kind);
  require_mask(options, sizes);
  if (has_channel_scales(options.dtype_k) && options.share_prefix)
    throw UsageError(
        "K as int8-channel cannot share prefixes, because blocks are sealed for one sequence: use int8");
  if (has_channel_scales(options.dtype_k) && options.kind != "paged")
    throw UsageError(
        "K as int8-channel has a scale for each channel of a block, and a block of a {} cache {}: use a "
        "paged cache, or int8",
        options.kind,
        options.kind == "contiguous" ? "is the whole context" : "gets new rows in place of old ones");
  CacheSpec spec;
  if (options.kind == "contiguous")
    spec = contiguous_spec(options, sizes);
  else if (options.kind == "paged")
    spec = paged_spec(options, sizes);
  else if (options.kind == "window")
    spec = options.windowed_every > 0 ? alternating_spec(options, sizes) : window_spec(options, sizes);
  else if (options.kind == "budget")
    spec = budget_spec(options, sizes);
  else
    throw UsageError("unknown cache kind '{:.80}': use contiguous, paged, window or budget", options.kind);
  validate(spec);
  return spec;
}

std::unique_ptr<KvCache> make_cache(const CacheOptions& options, const CacheSizes& sizes) {
  const CacheSpec spec = cache_spec(options, sizes);
  if (options.kind == "paged")
    return std::make_unique<PagedCache>(spec, sizes.n_seqs,
                                        options.share_prefix ? SharePrefixes::yes : SharePrefixes::no);
  if (options.kind == "window" && options.windowed_every > 0)
    return std::make_unique<AlternatingCache>(options, sizes);
  if (options.kind == "window")
    return std::make_unique<WindowCache>(spec, sizes.n_seqs, window_rule(options, sizes));
  if (options.kind == "budget") return std::make_unique<BudgetCache>(options, sizes);
  return std::make_unique<ContiguousCache>(spec, options.window, options.sinks);
}

}  // namespace lastrow
