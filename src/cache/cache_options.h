// What a user may choose of a cache, and how it is written in --cache and --kv-dtype.
//
//   CacheOptions options = cache_options("paged:block=16");     or with "int8", as in --kv-dtype
//   name_of(options)                                            "paged"
//   auto cache = make_cache(options, sizes);                    cache/make_cache.h
#pragma once

#include <cstdint>
#include <string>

#include "cache/kv_codec.h"

namespace lastrow {

/// What RoPE and ALiBi go by in a cache that forgets rows: the number of the token in the text, or the index of
/// its row among those that are held.
enum class Positions : uint8_t { kept, renumbered };
/// Which row a cache with a budget forgets first. heavy: the one that got the least attention.
enum class Eviction : uint8_t { oldest, sinks, heavy, random };
/// As users write it.
const char* name_of(Eviction eviction);

/// What the user may choose.
struct CacheOptions {
  // contiguous: one block for each sequence; paged: blocks from a pool; window: a ring of blocks for the last
  // rows, behind the sinks; budget: a fixed number of rows, with a victim for each new one
  std::string kind = "contiguous";
  int32_t block_len = 16;     // paged, window: indices that a block holds, 1 … max_seq_len
  int32_t n_blocks = 0;       // paged: size of the pool; 0: enough for every sequence at its longest
  bool share_prefix = false;  // paged: keep full blocks of finished texts for texts that begin alike
  // contiguous, window: a query sees only the last `window` keys, and the first `sinks`. A contiguous cache still
  // stores the others. For a window cache 0 means: the model's own window (`completed` fills it in)
  int32_t window = 0, sinks = 0;
  // window: only layers 0, windowed_every, 2·windowed_every, … have a ring; the others keep every row in blocks.
  // 0: all layers have it. Users cannot write it: `completed` sets it
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

/// Parses what users write in --cache. Throws UsageError that lists the spellings:
///   contiguous[:window=W][,sinks=N]                a mask alone
///   paged[:block=B][,blocks=N]
///   window[:w=W][,sinks=N][,positions=kept|new][,block=B]
///   budget:rows=N[,policy=oldest|sinks|heavy|random][,sinks=N][,seed=N]
CacheOptions cache_options(const std::string& text);
/// The same with the types of K and V, as users write them in --kv-dtype (kv_dtypes_from_name).
CacheOptions cache_options(const std::string& text, const std::string& kv_dtype);
/// The shortest text for these options. cache_options reads it back as the same options, except the types of K
/// and V, and except a window that the model gave (windowed_every > 0): that is left out.
std::string name_of(const CacheOptions& options);

}  // namespace lastrow
