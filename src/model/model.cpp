#include "model/model.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"

namespace lastrow {
namespace {

struct ExpectedWeight {
  std::string name;
  Shape shape;
};

/// One beside the weight of each norm and linear layer: as long as the weight's first dimension.
void add_biases(std::vector<ExpectedWeight>& all) {
  const size_t n_weights = all.size();
  for (size_t i = 0; i < n_weights; ++i)
    if (const auto [name, shape] = all[i];
        name != "lm_head.weight" && name.find("embed_") == std::string::npos)
      all.push_back({bias_name(name), {shape[0]}});
}

std::vector<ExpectedWeight> expected_weights(const ModelConfig& c) {
  const int64_t q_dim = int64_t{c.n_q_heads} * c.head_dim, kv_dim = int64_t{c.n_kv_heads} * c.head_dim;
  std::vector<ExpectedWeight> all = {{"model.embed_tokens.weight", {c.vocab_size, c.model_dim}},
                                     {"model.norm.weight", {c.model_dim}}};
  if (!c.tied_embeddings) all.push_back({"lm_head.weight", {c.vocab_size, c.model_dim}});
  if (c.learns_positions()) all.push_back({"model.embed_positions.weight", {c.max_seq_len, c.model_dim}});
  for (int i = 0; i < c.n_layers; ++i) {
    all.push_back({weight_name(i, "input_layernorm.weight"), {c.model_dim}});
    all.push_back({weight_name(i, "self_attn.q_proj.weight"), {q_dim, c.model_dim}});
    all.push_back({weight_name(i, "self_attn.k_proj.weight"), {kv_dim, c.model_dim}});
    all.push_back({weight_name(i, "self_attn.v_proj.weight"), {kv_dim, c.model_dim}});
    all.push_back({weight_name(i, "self_attn.o_proj.weight"), {c.model_dim, q_dim}});
    all.push_back({weight_name(i, "post_attention_layernorm.weight"), {c.model_dim}});
    if (c.gates_ffn()) all.push_back({weight_name(i, "mlp.gate_proj.weight"), {c.ffn_dim, c.model_dim}});
    all.push_back({weight_name(i, "mlp.up_proj.weight"), {c.ffn_dim, c.model_dim}});
    all.push_back({weight_name(i, "mlp.down_proj.weight"), {c.model_dim, c.ffn_dim}});
  }
  if (c.has_biases()) add_biases(all);
  return all;
}

/// The index of the first element that is not finite, or −1. Converts a piece at a time, to save memory.
int64_t first_not_finite(ConstTensorView weight) {
  constexpr int64_t kPiece = 4096;
  std::array<float, kPiece> wide;
  const ConstTensorView all = weight.reshaped({weight.size()});
  for (int64_t begin = 0; begin < all.size(); begin += kPiece) {
    const int64_t n = std::min(kPiece, all.size() - begin);
    convert(all.rows(begin, n), TensorView(wide.data(), {n}));
    for (int64_t i = 0; i < n; ++i)
      if (!std::isfinite(wide[static_cast<size_t>(i)])) return begin + i;
  }
  return -1;
}

}  // namespace

Model::Model(std::string source, ModelConfig config, Tokenizer tokenizer,
             std::map<std::string, Tensor> weights)
    : source_(std::move(source)),
      config_(std::move(config)),
      tokenizer_(std::move(tokenizer)),
      tensors_(std::move(weights)) {
  for (const auto& [name, tensor] : tensors_) weights_.emplace(name, tensor.view());
  check();
}

Model::Model(SafetensorsFile file, ModelConfig config, Tokenizer tokenizer)
    : source_(file.source()),
      config_(std::move(config)),
      tokenizer_(std::move(tokenizer)),
      file_(std::move(file)) {
  for (const std::string& name : file_->names()) weights_.emplace(name, file_->tensor(name));
  check();
}

void Model::check() const {
  validate(config_);
  if (tokenizer_.vocab_size() != config_.vocab_size)
    throw FileError(
        "{}: the tokenizer has {} tokens, but the config has vocab_size {}: the file contradicts itself",
        source_, tokenizer_.vocab_size(), config_.vocab_size);
  if (!config_.has_biases())
    for (const auto& [name, weight] : weights_)
      if (name.ends_with(".bias"))
        throw FileError(
            "{}: it holds the bias '{}', and a model of this architecture has none: if it is a GPT-2, set "
            "\"architecture\": \"gpt2\" in lastrow.config",
            source_, name);
  for (const auto& [name, shape] : expected_weights(config_)) {
    const auto found = weights_.find(name);
    if (found == weights_.end())
      throw FileError("{}: tensor '{}' {} is missing", source_, name, shape.to_string());
    const ConstTensorView weight = found->second;
    if (!(weight.shape() == shape))
      throw FileError("{}: tensor '{}' is {}, but the config needs {}", source_, name,
                      weight.shape().to_string(), shape.to_string());
    if (weight.dtype() != DType::f64 && weight.dtype() != DType::f32 && weight.dtype() != DType::f16 &&
        weight.dtype() != DType::bf16)
      throw FileError("{}: tensor '{}' is {}: weights must be f64, f32, f16 or bf16", source_, name,
                      name_of(weight.dtype()));
    if (const int64_t i = first_not_finite(weight); i >= 0)
      throw FileError(
          "{}: tensor '{}' holds NaN or infinity at element {}: the file is damaged or training diverged",
          source_, name, i);
  }
}

ConstTensorView Model::weight(const std::string& name) const {
  const auto found = weights_.find(name);
  LASTROW_CHECK(found != weights_.end(), "no weight '{}' in {}", name, source_);
  return found->second;
}

int64_t Model::n_params() const {
  int64_t n = 0;
  for (const auto& [name, weight] : weights_) n += weight.size();
  return n;
}

int64_t Model::weight_bytes() const {
  int64_t n = 0;
  for (const auto& [name, weight] : weights_) n += weight.size_bytes();
  return n;
}

}  // namespace lastrow
