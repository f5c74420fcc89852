// The cost of Backend::write_rows and Backend::copy_blocks. They change stored rows, and are not operations.
#pragma once

#include "cost/op_cost.h"
#include "ops/kv_storage.h"

namespace lastrow::cost {

/// Overwrites n_rows stored rows of K, or of V, in one layer (pokes). It costs as much as half an append.
constexpr OpCost write_rows(int64_t n_rows, int64_t n_kv_heads, int64_t head_dim, RowFormat format,
                            int64_t activation_elem_bytes = kF32Bytes) {
  const int64_t rows = n_rows * n_kv_heads;
  return {.cache_bytes_written = rows * format.row_bytes(head_dim),
          .activation_bytes = rows * head_dim * activation_elem_bytes};
}

inline OpCost write_rows(const KvStorage& storage, RowKind kind, int64_t n_rows, DType from) {
  const CacheSpec& spec = storage.spec();
  return write_rows(n_rows, spec.n_kv_heads, spec.head_dim, storage.row_format(kind),
                    static_cast<int64_t>(size_of(from)));
}

/// Copies n_blocks whole blocks of K and of V in each of n_layers layers. Reads as many bytes as it writes.
constexpr OpCost copy_blocks(int64_t n_blocks, int64_t block_len, int64_t n_layers, int64_t n_kv_heads,
                             int64_t head_dim, RowFormat k, RowFormat v) {
  const int64_t rows = n_blocks * block_len * n_layers * n_kv_heads;
  const int64_t bytes = rows * (k.row_bytes(head_dim) + v.row_bytes(head_dim));
  return {.cache_bytes_read = bytes, .cache_bytes_written = bytes};
}

inline OpCost copy_blocks(const KvStorage& storage, int64_t n_blocks) {
  const CacheSpec& spec = storage.spec();
  return copy_blocks(n_blocks, spec.block_len, spec.n_layers_in(0), spec.n_kv_heads, spec.head_dim,
                     storage.row_format(RowKind::k), storage.row_format(RowKind::v));
}

}  // namespace lastrow::cost
