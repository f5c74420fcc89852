// The sizes of a decoder. They are enough to compute its parameters, the cost of a step, and its K/V cache.
//
//   const ModelShape& shape = find_preset("llama-3-8b");    or fill one in, then call validate(shape)
//   n_params(shape)                                         the number of parameters, by formula
//
// Invariant: after validate() each size is positive, n_q_heads % n_kv_heads == 0, and n_params fits in int64.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"

namespace lastrow {

enum class NormKind : uint8_t { rms, layer };  // rms has a weight; layer has a weight and a bias

/// The defaults describe a Llama-style decoder: RMSNorm before attention and MLP, RoPE, gated MLP, no biases.
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
  bool gated_mlp = true;           // two matrices, gate and up; else one matrix and GELU
  bool learned_positions = false;  // a table [max_seq_len, model_dim] in place of RoPE
  bool alibi = false;              // no RoPE: the distance of a key lowers its score
  bool qkv_bias = false;
  bool other_bias = false;  // in attention output and MLP
  NormKind norm = NormKind::rms;
  int64_t norms_per_layer = 2;
  int64_t window = 0;         // sliding window in keys; 0: no window
  int64_t window_period = 1;  // layers 0, period, 2·period, … have the window; the others see all keys
  DType weight_dtype = DType::f32;
  int64_t published_params = 0;  // the number that the release states; 0: unknown
  std::string source{};          // where the sizes come from

  int64_t layer_window(int64_t layer) const { return layer % window_period == 0 ? window : 0; }
  int64_t n_window_layers() const { return window > 0 ? (n_layers + window_period - 1) / window_period : 0; }
};

/// Throws ShapeError that names the size that is wrong.
void validate(const ModelShape& shape);

/// The number of parameters. A tied table counts once. With q = n_q_heads·head_dim, kv = n_kv_heads·head_dim:
///     vocab·model                        twice if the embeddings are not tied
///   + max_seq_len·model                  only with learned positions
///   + n_layers · ( model·(q + 2·kv)      the projections to q, k, v
///                + q·model               the projection of the attention output
///                + 3·model·ffn           2·model·ffn if the MLP is not gated
///                + biases + norms )
///   + the final norm
/// Calls validate().
int64_t n_params(const ModelShape& shape);

/// The bytes of all parameters in the dtype of the release.
int64_t weights_bytes(const ModelShape& shape);

}  // namespace lastrow
