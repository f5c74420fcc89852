#include "cache/make_cache.h"
#include "cache/contiguous_cache.h"

#include "core/error.h"

namespace lastrow {

CacheOptions cache_options(const std::string& text) {
  if (text == "contiguous") return {};
  throw UsageError("unknown cache '{}': use contiguous", text);
}

std::string name_of(const CacheOptions& options) { return options.kind; }

CacheSpec cache_spec(const CacheOptions& options, const CacheSizes& sizes) {
  if (options.kind != "contiguous") throw UsageError("unknown cache kind '{}': use contiguous", options.kind);
  const CacheSpec spec = CacheSpec::contiguous(sizes.n_layers, sizes.n_kv_heads, sizes.head_dim,
                                               sizes.max_seq_len, sizes.n_seqs, options.dtype);
  validate(spec);
  return spec;
}

std::unique_ptr<KvCache> make_cache(const CacheOptions& options, const CacheSizes& sizes) {
  return std::make_unique<ContiguousCache>(cache_spec(options, sizes));
}

}  // namespace lastrow
