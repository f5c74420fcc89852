// The sizes of a model that is small enough to count its parameters and its work by hand.
#pragma once

#include "cost/model_shape.h"

namespace lastrow::testing {

/// 2 layers, 4 query heads that share 2 K/V heads, head_dim 2, model_dim 6, ffn_dim 10,
/// 20 words, tied embeddings.
inline ModelShape tiny_shape() {
  return {.name = "tiny",
          .n_layers = 2,
          .n_q_heads = 4,
          .n_kv_heads = 2,
          .head_dim = 2,
          .model_dim = 6,
          .ffn_dim = 10,
          .vocab_size = 20,
          .max_seq_len = 32,
          .tied_embeddings = true};
}

}  // namespace lastrow::testing
