#include "train/parameters.h"

#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace lastrow::train {

ParameterLayout::ParameterLayout(const ModelConfig& config) : config_(config) {
  validate(config);
  if (config.architecture != Architecture::llama)
    throw ShapeError("the trainer supports only Llama-style models: choose one without arch=gpt2");
  if (!config.tied_embeddings || config.rope_pairing != RopePairing::halves)
    throw ShapeError(
        "the trainer supports only tied embeddings and RoPE over halves: set both in the config");
  const int64_t d = config.model_dim, q = int64_t{config.n_q_heads} * config.head_dim,
                kv = int64_t{config.n_kv_heads} * config.head_dim, f = config.ffn_dim;
  add("model.embed_tokens.weight", config.vocab_size, d, false);
  for (int i = 0; i < config.n_layers; ++i) {
    const auto tensor = [&](const char* tail, int64_t rows, int64_t cols) {
      return add(weight_name(i, tail), rows, cols, rows == 1);
    };
    Layer layer{};
    layer.attn_norm = tensor("input_layernorm.weight", 1, d);
    layer.q = tensor("self_attn.q_proj.weight", q, d);
    layer.k = tensor("self_attn.k_proj.weight", kv, d);
    layer.v = tensor("self_attn.v_proj.weight", kv, d);
    layer.o = tensor("self_attn.o_proj.weight", d, q);
    layer.ffn_norm = tensor("post_attention_layernorm.weight", 1, d);
    layer.gate = tensor("mlp.gate_proj.weight", f, d);
    layer.up = tensor("mlp.up_proj.weight", f, d);
    layer.down = tensor("mlp.down_proj.weight", d, f);
    layers_.push_back(layer);
  }
  add("model.norm.weight", 1, d, true);
}

int ParameterLayout::add(std::string name, int64_t rows, int64_t cols, bool is_vector) {
  tensors_.push_back({std::move(name), rows, cols, size_, is_vector});
  size_ += rows * cols;
  return static_cast<int>(tensors_.size()) - 1;
}

std::vector<float> initial_parameters(const ParameterLayout& layout, uint64_t seed) {
  std::vector<float> params(static_cast<size_t>(layout.size()));
  uint64_t stream = 0;
  for (const ParameterTensor& t : layout.tensors()) {
    Random random(seed, stream++);
    const bool writes_residual = t.name.ends_with("o_proj.weight") || t.name.ends_with("down_proj.weight");
    const double deviation = t.name.ends_with("embed_tokens.weight")
                                 ? 0.1
                                 : (writes_residual ? 1 / std::sqrt(2.0 * layout.config().n_layers) : 1.0) /
                                       std::sqrt(static_cast<double>(t.cols));
    for (int64_t i = 0; i < t.size(); ++i)
      params[static_cast<size_t>(t.offset + i)] =
          t.is_vector ? 1.0f : static_cast<float>(deviation * random.normal());
  }
  return params;
}

}  // namespace lastrow::train
