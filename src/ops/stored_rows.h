// The cost of Backend::write_rows and Backend::copy_blocks. They change stored rows, and are not operations.
#pragma once

#include "cost/op_cost.h"
#include "ops/kv_storage.h"

namespace lastrow::cost {

/// Overwrites n_rows stored rows of K, or of V, in one layer (pokes). It costs as much as half an append.
constexpr OpCost write_rows(int64_t n_rows, int64_t n_kv_heads, int64_t head_dim, int64_t cache_elem_bytes,
                            int64_t activation_elem_bytes = kF32Bytes, int64_t cache_scale_bytes = 0) {
  const int64_t rows = n_rows * n_kv_heads;
  return {.cache_bytes_written = rows * row_bytes(head_dim, cache_elem_bytes, cache_scale_bytes),
          .activation_bytes = rows * head_dim * activation_elem_bytes};
}

inline OpCost write_rows(const KvStorage& storage, int64_t n_rows, DType from) {
  const CacheSpec& spec = storage.spec();
  return write_rows(n_rows, spec.n_kv_heads, spec.head_dim, storage.elem_bytes(),
                    static_cast<int64_t>(size_of(from)), storage.row_scale_bytes());
}

/// Copies n_blocks whole blocks of K and of V in each of n_layers layers. Reads as many bytes as it writes.
constexpr OpCost copy_blocks(int64_t n_blocks, int64_t block_len, int64_t n_layers, int64_t n_kv_heads,
                             int64_t head_dim, int64_t cache_elem_bytes, int64_t cache_scale_bytes = 0) {
  const int64_t rows = 2 * n_blocks * block_len * n_layers * n_kv_heads;
  const int64_t bytes = rows * row_bytes(head_dim, cache_elem_bytes, cache_scale_bytes);
  return {.cache_bytes_read = bytes, .cache_bytes_written = bytes};
}

inline OpCost copy_blocks(const KvStorage& storage, int64_t n_blocks) {
  const CacheSpec& spec = storage.spec();
  return copy_blocks(n_blocks, spec.block_len, spec.n_layers, spec.n_kv_heads, spec.head_dim,
                     storage.elem_bytes(), storage.row_scale_bytes());
}

}  // namespace lastrow::cost
