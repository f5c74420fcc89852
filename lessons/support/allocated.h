// How many bytes the lesson's backend allocates for the cache of a model. Lessons compare this count with the
// formula of cost/memory.h. With --fault repeat-kv the storage repeats rows by the shape's own group size.
#pragma once

#include "cost/memory.h"
#include "lessons/support/lesson.h"

namespace lastrow::lessons {

/// Bytes of K and V in f16, for n_seqs contiguous sequences of n_tokens each.
inline int64_t allocated_bytes(Lesson& lesson, const ModelShape& shape, int64_t n_tokens,
                               int64_t n_seqs = 1) {
  const auto narrow = [](int64_t n) { return static_cast<int32_t>(n); };
  return lesson.backend("eigen", narrow(shape.n_q_heads / shape.n_kv_heads))
      ->make_storage(CacheSpec::contiguous(narrow(shape.n_layers), narrow(shape.n_kv_heads),
                                           narrow(shape.head_dim), narrow(n_tokens), narrow(n_seqs),
                                           DType::f16))
      ->bytes();
}

/// The same shape with other numbers of layers and K/V heads.
inline ModelShape changed(ModelShape shape, int64_t n_layers, int64_t n_kv_heads) {
  shape.n_layers = n_layers;
  shape.n_kv_heads = n_kv_heads;
  return shape;
}

}  // namespace lastrow::lessons
