#include "cache/kv_cache.h"

#include "core/error.h"

namespace lastrow {

CacheSpec CacheSpec::contiguous(int32_t n_layers, int32_t n_kv_heads, int32_t head_dim, int32_t max_seq_len,
                                int32_t n_seqs, DType dtype) {
  return {n_layers, n_kv_heads, head_dim, max_seq_len, /*block_len=*/max_seq_len, /*n_blocks=*/n_seqs, dtype};
}

void validate(const CacheSpec& spec) {
  const auto require_positive = [](const char* name, int32_t value) {
    if (value <= 0) throw ShapeError("CacheSpec::{} is {}: it must be at least 1", name, value);
  };
  require_positive("n_layers", spec.n_layers);
  require_positive("n_kv_heads", spec.n_kv_heads);
  require_positive("head_dim", spec.head_dim);
  require_positive("max_seq_len", spec.max_seq_len);
  require_positive("block_len", spec.block_len);
  require_positive("n_blocks", spec.n_blocks);
  if (int64_t{spec.n_blocks} * spec.block_len < spec.max_seq_len)
    throw ShapeError("{} blocks of {} hold fewer than max_seq_len {} indices: raise CacheSpec::n_blocks",
                     spec.n_blocks, spec.block_len, spec.max_seq_len);
  if (!is_kv_dtype(spec.dtype))
    throw ShapeError("CacheSpec::dtype is {}: K and V are stored as f32, f16, bf16, fp8 or i8 (int8)",
                     name_of(spec.dtype));
  const double bytes = 2.0 * spec.n_layers * spec.n_blocks * spec.n_kv_heads * spec.block_len *
                       static_cast<double>(spec.row_bytes());
  if (bytes > 0x1p62)
    throw ShapeError("a cache of {:.3g} bytes cannot be addressed: lower max_seq_len or n_blocks", bytes);
}

}  // namespace lastrow
