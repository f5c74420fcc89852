// Where K and V rows are: made by a backend from a CacheSpec, read by it alone, held by the cache's owner.
//
// K or V of one layer is [n_blocks, n_kv_heads, block_len, head_dim] in the backend's memory; int8 rows have
// scales beside them, f32 [n_blocks, n_kv_heads, block_len] (cache/kv_codec.h). Nothing is initialised: a
// slot that no append has written may hold anything.
#pragma once

#include <vector>

#include "cache/kv_cache.h"
#include "core/tensor.h"

namespace lastrow {

enum class RowKind : uint8_t { k, v };

class KvStorage {
 public:
  /// `dtype` is what the backend stores for spec.dtype: the double-precision judge widens f32 rows to f64.
  KvStorage(const CacheSpec& spec, Memory& memory, DType dtype) : spec_(spec) {
    const Shape shape{spec.n_blocks, spec.n_kv_heads, spec.block_len, spec.head_dim};
    for (int32_t i = 0; i < 2 * spec.n_layers; ++i) {
      rows_.emplace_back(memory, dtype, shape);
      if (scale_bytes(dtype) > 0)
        scales_.emplace_back(memory, DType::f32, Shape{spec.n_blocks, spec.n_kv_heads, spec.block_len});
    }
  }

  const CacheSpec& spec() const { return spec_; }
  /// In the stored type.
  TensorView rows(int32_t layer, RowKind kind) { return rows_[at(layer, kind)].view(); }
  ConstTensorView rows(int32_t layer, RowKind kind) const { return rows_[at(layer, kind)].view(); }
  /// Empty where the stored type has none.
  TensorView scales(int32_t layer, RowKind kind) {
    return scales_.empty() ? TensorView{} : scales_[at(layer, kind)].view();
  }
  ConstTensorView scales(int32_t layer, RowKind kind) const {
    return scales_.empty() ? ConstTensorView{} : scales_[at(layer, kind)].view();
  }
  /// Counted at the allocations, all layers, K and V, with their scales.
  int64_t bytes() const {
    int64_t n = 0;
    for (const Tensor& t : rows_) n += t.size_bytes();
    for (const Tensor& t : scales_) n += t.size_bytes();
    return n;
  }

 private:
  size_t at(int32_t layer, RowKind kind) const {
    LASTROW_CHECK(layer >= 0 && layer < spec_.n_layers, "layer {} of {}", layer, spec_.n_layers);
    return static_cast<size_t>(2 * layer + (kind == RowKind::v ? 1 : 0));
  }
  CacheSpec spec_;
  std::vector<Tensor> rows_;    // K of layer 0, V of layer 0, K of layer 1, …
  std::vector<Tensor> scales_;  // in the same order, or none
};

}  // namespace lastrow
