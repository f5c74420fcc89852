// A tensor of random numbers, for the inputs of tests, lessons and exercises.
//
//   const Tensor q = random_tensor({n_tokens, n_q_heads, head_dim}, /*seed=*/1, /*stream=*/0);
//
// It is in host memory, f32, normally distributed with mean 0 and variance 1. The same shape, seed and stream
// give the same bits. The streams of one seed are independent: use another stream for each tensor.
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
