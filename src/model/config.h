// What a decoder is made of: its architecture and its sizes.
//
// Shapes everywhere follow from these numbers; validate() is called once, where a config enters the program.
#pragma once

#include <cstdint>
#include <string>

#include "cost/model_shape.h"

namespace lastrow {

/// Both put a norm before attention and before the feed-forward layer, and add what each computes to the stream.
enum class Architecture : uint8_t {
  llama,  // RMSNorm, RoPE, SwiGLU, no biases. Touvron et al. 2023, section 2.2
  gpt2,   // LayerNorm, learned positions, GELU, biases everywhere. Radford et al. 2019, section 2.3
};

/// Which two elements of a head RoPE turns together.
enum class RopePairing : uint8_t {
  halves,       // (d, d + head_dim/2), as in the published Llama weights for Python
  interleaved,  // (2d, 2d + 1), as in the RoFormer paper
};

struct ModelConfig {
  Architecture architecture = Architecture::llama;
  int n_layers = 0;
  int model_dim = 0;
  int n_q_heads = 0;
  int n_kv_heads = 0;
  int head_dim = 0;
  int ffn_dim = 0;
  int vocab_size = 0;
  int max_seq_len = 0;  // positions that have an angle (RoPE) or a row (learned); the context
  float norm_eps = 1e-5f;
  float rope_theta = 10000.0f;
  RopePairing rope_pairing = RopePairing::halves;
  bool tied_embeddings = true;  // the LM head is the embedding table
  std::string name;

  bool learns_positions() const { return architecture == Architecture::gpt2; }  // else RoPE
  bool has_biases() const { return architecture == Architecture::gpt2; }        // norms and linear layers
  bool gates_ffn() const { return architecture == Architecture::llama; }        // SwiGLU, else GELU
  int group_size() const { return n_q_heads / n_kv_heads; }
  bool operator==(const ModelConfig&) const = default;
};

/// Throws ShapeError with the offending numbers if the config is not one that can run: a size that is not
/// positive, n_q_heads % n_kv_heads != 0, an odd
/// head_dim under RoPE, or sizes whose products overflow.
void validate(const ModelConfig& config);

/// Names of the weight tensors, as in the published Llama checkpoints: `[out, in]` matrices.
///   model.embed_tokens.weight                            [vocab_size, model_dim]
///   model.layers.{i}.input_layernorm.weight              [model_dim]
///   model.layers.{i}.self_attn.q_proj.weight             [n_q_heads·head_dim, model_dim]
///   model.layers.{i}.self_attn.{k,v}_proj.weight         [n_kv_heads·head_dim, model_dim]
///   model.layers.{i}.self_attn.o_proj.weight             [model_dim, n_q_heads·head_dim]
///   model.layers.{i}.post_attention_layernorm.weight     [model_dim]
///   model.layers.{i}.mlp.{gate,up}_proj.weight           [ffn_dim, model_dim]
///   model.layers.{i}.mlp.down_proj.weight                [model_dim, ffn_dim]
///   model.norm.weight                                    [model_dim]
///   lm_head.weight (only if not tied)                    [vocab_size, model_dim]
/// A GPT-2 has no gate_proj. It has model.embed_positions.weight [max_seq_len, model_dim], and beside the weight of
/// each norm and linear layer, but the LM head, a bias [out] whose name ends in .bias. Its q, k and v, which the
/// published file holds in one transposed matrix, are three, [out, in] like all others.
std::string weight_name(int layer, const char* tail);  // "model.layers.3." + tail

std::string bias_name(const std::string& weight_name);  // "….q_proj.weight" → "….q_proj.bias"

/// The same sizes as cost formulas take them.
ModelShape shape_of(const ModelConfig& config, DType weight_dtype = DType::f32);

/// The config as JSON text and back; a model file carries it in its metadata under "lastrow.config".
/// The inverse throws FileError for missing or ill-typed fields and validates.
std::string to_json(const ModelConfig& config);
ModelConfig config_from_json(const std::string& text);

}  // namespace lastrow
