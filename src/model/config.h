// The architecture, sizes and settings of a decoder. All shapes of the model follow from them.
//
//   ModelConfig config = config_from_json(text);           reads and validates it
//   validate(config);                                      once, if the program set the numbers itself
//   ModelShape shape = shape_of(config);                   for the cost formulas
//   weight_name(3, "self_attn.q_proj.weight")              the name of a tensor of layer 3
//
// Do not use a config that validate() has not accepted.
#pragma once

#include <cstdint>
#include <string>

#include "attention/score.h"
#include "cost/model_shape.h"

namespace lastrow {

/// Both apply a norm before attention and before the feed-forward layer, and add what these two compute to
/// the residual stream.
enum class Architecture : uint8_t {
  llama,  // RMSNorm, RoPE, SwiGLU, no biases. Touvron et al. 2023, section 2.2
  gpt2,   // LayerNorm, learned positions, GELU, biases everywhere. Radford et al. 2019, section 2.3
};

/// Which two elements of a head RoPE rotates together.
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
  int max_seq_len = 0;  // the context; the table of RoPE angles or learned positions has as many rows
  float norm_eps = 1e-5f;
  float rope_theta = 10000.0f;
  RopePairing rope_pairing = RopePairing::halves;
  bool tied_embeddings = true;  // the LM head is the embedding table
  bool alibi = false;           // distances lower the scores, in place of RoPE. Press et al. 2022
  float score_soft_cap = 0;     // 0: none; else scores stay within ± this. Gemma Team 2024, "Gemma 2"
  int window = 0;               // 0: none; else windowed layers see only the last `window` keys
  int window_period = 1;  // layers 0, period, 2·period, … are windowed (2: every other, as in Gemma 2)
  std::string name;

  bool learns_positions() const { return architecture == Architecture::gpt2; }  // else RoPE or ALiBi
  bool has_rope() const { return !learns_positions() && !alibi; }
  bool has_biases() const { return architecture == Architecture::gpt2; }  // norms and linear layers
  bool gates_ffn() const { return architecture == Architecture::llama; }  // SwiGLU, else GELU
  int group_size() const { return n_q_heads / n_kv_heads; }
  bool operator==(const ModelConfig&) const = default;
};

/// Throws ShapeError, with the wrong numbers, if the config cannot run: a size is not positive, head_dim is
/// odd under RoPE, positions are learned beside ALiBi, n_q_heads is not a multiple of n_kv_heads, or a product of sizes overflows.
void validate(const ModelConfig& config);

/// The names of the weight tensors, as in the published Llama checkpoints. Matrices are `[out, in]`.
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
/// A GPT-2 has no gate_proj. It also has model.embed_positions.weight [max_seq_len, model_dim]. Each of its
/// norms and linear layers, except the LM head, also has a bias [out], whose name ends in .bias. The
/// published GPT-2 file holds q, k and v in one transposed matrix; here they are three matrices, [out, in]
/// like all others.
/// Returns "model.layers.{layer}." + tail.
std::string weight_name(int layer, const char* tail);
/// "….q_proj.weight" → "….q_proj.bias"
std::string bias_name(const std::string& weight_name);

/// How the attention of a layer makes scores and which keys it sees. Only the window differs between layers.
AttendSpec attend_spec(const ModelConfig& config, int layer);
/// The same for a step whose cache has a window and sinks of its own (StepPlan::window, window_sinks): the
/// narrower window wins.
AttendSpec attend_spec(const ModelConfig& config, int layer, int32_t window, int32_t sinks);
/// Throws UsageError if a layer of the model cannot have this window and these sinks of a cache.
void require_window(const ModelConfig& config, int32_t window, int32_t sinks);

/// The same sizes in the form that the cost formulas take.
ModelShape shape_of(const ModelConfig& config, DType weight_dtype = DType::f32);

/// The config as JSON text, and back. A model file holds this text in its metadata, under "lastrow.config".
/// config_from_json throws FileError for a field that is missing or has the wrong type. It calls validate().
std::string to_json(const ModelConfig& config);
ModelConfig config_from_json(const std::string& text);

}  // namespace lastrow
