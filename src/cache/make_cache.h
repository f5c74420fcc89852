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

/// The position of a row in a cache that forgets rows: the number of its token in the text, or its index.
enum class Positions : uint8_t { kept, anew };
/// Which row a cache with a budget forgets first. heavy: the one that got the least attention.
enum class Eviction : uint8_t { oldest, sinks, heavy, random };

/// What the user may choose.
struct CacheOptions {
  // contiguous: one block for each sequence; paged: blocks from a pool; window: a ring of blocks for the last
  // rows, behind the sinks; budget: a fixed number of rows, with a victim for each new one
  std::string kind = "contiguous";
  int32_t block_len = 16;     // paged, window: indices that a block holds, 1 … max_seq_len
  int32_t n_blocks = 0;       // paged: size of the pool; 0: enough for every sequence at its longest
  bool share_prefix = false;  // paged: keep full blocks of finished texts for texts that begin alike
  // contiguous, window: a query sees only the last `window` keys, and the first `sinks`. A contiguous cache
  // stores the others all the same. window without a number: the window of each layer of the model
  int32_t window = 0, sinks = 0;
  // window: only the layers 0, windowed_every, 2·windowed_every, … have the ring, and the others keep every row in
  // blocks. 0: all layers have it
  int32_t windowed_every = 0;
  Positions positions = Positions::kept;  // window
  int32_t budget = 0;                     // budget: rows that a sequence holds between steps
  Eviction eviction = Eviction::oldest;   // budget; sinks: keeps the first `sinks` rows, and the newest
  uint64_t seed = 0;                      // budget, random
  DType dtype_k = DType::f32;             // of stored K: one that is_kv_dtype (cache/kv_codec.h)
  DType dtype_v = DType::f32;             // of stored V

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
  int32_t longest_step = 0;  // tokens of one sequence that a step may feed; 0: max_seq_len
};

/// Parses what users write in --cache. Throws UsageError that lists the spellings:
///   contiguous[:window=W][,sinks=N]                a mask alone
///   paged[:block=B][,blocks=N]
///   window[:w=W][,sinks=N][,positions=kept|new][,block=B]
///   budget:rows=N[,policy=oldest|sinks|heavy|random][,sinks=N][,seed=N]
CacheOptions cache_options(const std::string& text);
/// The same with the types of K and V, as users write them in --kv-dtype (kv_dtypes_from_name).
CacheOptions cache_options(const std::string& text, const std::string& kv_dtype);
/// The inverse: the shortest text that cache_options reads as these options.
std::string name_of(const CacheOptions& options);

/// Throws ShapeError unless a block of options.block_len is within the context. For caches of blocks.
void require_block_len(const CacheOptions& options, const CacheSizes& sizes);

/// The spec of the cache that make_cache would make. Allocates nothing, so a caller can use it to check
/// whether the cache fits in memory. Throws UsageError for an unknown kind, ShapeError for wrong sizes.
CacheSpec cache_spec(const CacheOptions& options, const CacheSizes& sizes);

/// Throws as cache_spec does.
std::unique_ptr<KvCache> make_cache(const CacheOptions& options, const CacheSizes& sizes);

}  // namespace lastrow
