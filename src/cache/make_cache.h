// Makes a cache from the name of its kind. A new kind needs no change in callers that pass on CacheOptions.
//
//   auto cache = make_cache({.dtype_k = DType::bf16}, {.n_layers = 4, .n_kv_heads = 2, …});
//   auto storage = backend.make_storage(cache->spec());
//   CacheOptions options = cache_options("paged:block=16");     as users write it in --cache
#pragma once

#include <memory>
#include <string>

#include "cache/kv_cache.h"

namespace lastrow {

/// What the user may choose.
struct CacheOptions {
  std::string kind = "contiguous";  // "contiguous": one block for each sequence; "paged": blocks from a pool
  int32_t block_len = 16;           // paged: indices that a block holds, 1 … max_seq_len
  int32_t n_blocks = 0;             // paged: size of the pool; 0: enough for every sequence at its longest
  bool share_prefix = false;        // paged: keep full blocks of finished texts for texts that begin alike
  DType dtype_k = DType::f32;       // of stored K: one that is_kv_dtype (cache/kv_codec.h)
  DType dtype_v = DType::f32;       // of stored V

  KvDtypes dtypes() const { return {dtype_k, dtype_v}; }
  bool operator==(const CacheOptions&) const = default;
};

/// What the model and the caller decide.
struct CacheSizes {
  int32_t n_layers = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t max_seq_len = 0;  // tokens that a sequence may have
  int32_t n_seqs = 1;
};

/// Parses "contiguous" or "paged[:block=B][,blocks=N]". Throws UsageError that lists the spellings.
CacheOptions cache_options(const std::string& text);
/// The same with the types of K and V, as users write them in --kv-dtype (kv_dtypes_from_name).
CacheOptions cache_options(const std::string& text, const std::string& kv_dtype);
/// The inverse: the shortest text that cache_options reads as these options.
std::string name_of(const CacheOptions& options);

/// The spec of the cache that make_cache would make. Allocates nothing, so a caller can use it to check
/// whether the cache fits in memory. Throws UsageError for an unknown kind, ShapeError for wrong sizes.
CacheSpec cache_spec(const CacheOptions& options, const CacheSizes& sizes);

/// Throws as cache_spec does.
std::unique_ptr<KvCache> make_cache(const CacheOptions& options, const CacheSizes& sizes);

}  // namespace lastrow
