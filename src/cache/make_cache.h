// Makes a cache from the name of its kind. A new kind needs no change in callers that pass on CacheOptions.
//
//   auto cache = make_cache({.dtype_k = DType::bf16}, {.n_layers = 4, .n_kv_heads = 2, …});
//   auto storage = backend.make_storage(cache->spec());
#pragma once

#include <memory>

#include "cache/cache_options.h"
#include "cache/kv_cache.h"

namespace lastrow {

/// What the model and the caller decide.
struct CacheSizes {
  int32_t n_layers = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t max_seq_len = 0;  // tokens that a sequence may have
  int32_t n_seqs = 1;
  int32_t longest_step = 0;  // tokens of one sequence that a step may feed; 0: max_seq_len
};

/// Throws ShapeError unless a block of options.block_len is within the context. For caches of blocks.
void require_block_len(const CacheOptions& options, const CacheSizes& sizes);

/// The spec of the cache that make_cache would make. Allocates nothing, so a caller can use it to check
/// whether the cache fits in memory. Throws UsageError for an unknown kind, ShapeError for wrong sizes.
CacheSpec cache_spec(const CacheOptions& options, const CacheSizes& sizes);

/// Throws as cache_spec does.
std::unique_ptr<KvCache> make_cache(const CacheOptions& options, const CacheSizes& sizes);

}  // namespace lastrow
