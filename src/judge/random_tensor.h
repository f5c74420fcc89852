// Random numbers in a tensor: the inputs that tests, lessons and exercises make from a seed.
//
//   const Tensor q = random_tensor({n_tokens, n_q_heads, head_dim}, /*seed=*/1, /*stream=*/0);
//
// Host memory, f32, normally distributed with mean 0 and variance 1. The same shape, seed and stream give the
// same bits. Streams of one seed are independent: take one for each tensor.
#pragma once

#include "core/random.h"
#include "core/tensor.h"

namespace lastrow::judge {

inline Tensor random_tensor(Shape shape, uint64_t seed, uint64_t stream = 0) {
  Tensor t = Tensor::host(DType::f32, shape);
  Random random(seed, stream);
  for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = static_cast<float>(random.normal());
  return t;
}

}  // namespace lastrow::judge
