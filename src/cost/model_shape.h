// A decoder reduced to its sizes: enough to count its parameters, the work of a step and its K/V cache.
//
//   const ModelShape& shape = find_preset("llama-3-8b");        or fill one in, then validate(shape)
//   n_params(shape)                                              from the sizes, by formula
//
// Invariant: after validate() each size is positive, n_q_heads % n_kv_heads == 0, and n_params fits int64.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"

namespace lastrow {

enum class NormKind : uint8_t { rms, layer };  // weight; weight and bias

/// Defaults are a Llama-style decoder: RMSNorm before attention and MLP, RoPE, gated MLP, no biases.
struct ModelShape {
  std::string name{};
  int64_t n_layers = 0;
  int64_t n_q_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t model_dim = 0;
  int64_t ffn_dim = 0;
  int64_t vocab_size = 0;
  int64_t max_seq_len = 0;  // longest context of the release
  bool tied_embeddings = false;
  bool gated_mlp = true;           // gate and up matrices; else one, and a GELU
  bool learned_positions = false;  // a table [max_seq_len, model_dim] in place of RoPE
  bool qkv_bias = false;
  bool other_bias = false;  // attention output and MLP
  NormKind norm = NormKind::rms;
  int64_t norms_per_layer = 2;
  int64_t window = 0;         // sliding window in keys; 0: none
  int64_t window_period = 1;  // layers 0, period, 2·period, … have it; the others attend to everything
  DType weight_dtype = DType::f32;
  int64_t published_params = 0;  // what the release says it holds; 0: unknown
  std::string source{};          // where the sizes come from

  int64_t layer_window(int64_t layer) const { return layer % window_period == 0 ? window : 0; }
  int64_t n_window_layers() const { return window > 0 ? (n_layers + window_period - 1) / window_period : 0; }
};

/// Throws ShapeError naming what does not fit.
void validate(const ModelShape& shape);

/// Parameters by formula, each once (a tied table too):
///   vocab·model (twice if not tied) + max_seq_len·model if learned positions
///   + n_layers · (model·(q + 2·kv) + q·model + 2 or 3·model·ffn + biases + norms) + the final norm
/// with q = n_q_heads·head_dim, kv = n_kv_heads·head_dim. Validates.
int64_t n_params(const ModelShape& shape);

/// n_params in the dtype of the release.
int64_t weights_bytes(const ModelShape& shape);

}  // namespace lastrow
