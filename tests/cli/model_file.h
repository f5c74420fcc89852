// Small model files for the tests, valid and damaged.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "core/random.h"
#include "io/safetensors.h"
#include "model/model.h"

namespace lastrow::testing {

/// Two layers, 4 query heads, 2 K/V heads, head_dim 4, context 12. Knows "the quick brown fox" and letters.
inline lastrow::ModelConfig small_config() {
  lastrow::ModelConfig c;
  c.name = "small";
  c.n_layers = 2;
  c.model_dim = 8;
  c.n_q_heads = 4;
  c.n_kv_heads = 2;
  c.head_dim = 4;
  c.ffn_dim = 16;
  c.max_seq_len = 12;
  return c;
}

/// The parts of the file that a test may change to make it wrong.
struct Spoiled {
  float first_weight = 0.5f;                 // of the token embedding
  float first_norm = 1.0f;                   // of the final norm
  float k_factor = 1.0f;                     // multiplies all weights of k_proj
  std::string from_config{}, into_config{};  // text replaced in the config
  std::string word = "brown";                // of the tokenizer
};

inline void write_model(const std::string& path, const Spoiled& spoiled = {}) {
  const Tokenizer tokenizer =
      Tokenizer::from_words({"the", "quick", "brown", "fox"}, "abcdefghijklmnopqrstuvwxyz", ".,");
  ModelConfig c = small_config();
  c.vocab_size = tokenizer.vocab_size();
  std::map<std::string, Tensor> weights;
  uint64_t stream = 0;
  const auto add = [&](const std::string& name, Shape shape) {
    Tensor t = Tensor::host(DType::f32, shape);
    Random random(7, stream++);
    for (int64_t i = 0; i < t.size(); ++i) t.data<float>()[i] = static_cast<float>(0.3 * random.normal());
    weights.emplace(name, std::move(t));
  };
  add("model.embed_tokens.weight", {c.vocab_size, c.model_dim});
  weights.at("model.embed_tokens.weight").data<float>()[0] = spoiled.first_weight;
  add("model.norm.weight", {c.model_dim});
  weights.at("model.norm.weight").data<float>()[0] = spoiled.first_norm;
  const int64_t q_dim = c.n_q_heads * c.head_dim, kv_dim = c.n_kv_heads * c.head_dim;
  for (int i = 0; i < c.n_layers; ++i) {
    add(weight_name(i, "input_layernorm.weight"), {c.model_dim});
    add(weight_name(i, "self_attn.q_proj.weight"), {q_dim, c.model_dim});
    add(weight_name(i, "self_attn.k_proj.weight"), {kv_dim, c.model_dim});
    add(weight_name(i, "self_attn.v_proj.weight"), {kv_dim, c.model_dim});
    add(weight_name(i, "self_attn.o_proj.weight"), {c.model_dim, q_dim});
    add(weight_name(i, "post_attention_layernorm.weight"), {c.model_dim});
    add(weight_name(i, "mlp.gate_proj.weight"), {c.ffn_dim, c.model_dim});
    add(weight_name(i, "mlp.up_proj.weight"), {c.ffn_dim, c.model_dim});
    add(weight_name(i, "mlp.down_proj.weight"), {c.model_dim, c.ffn_dim});
  }
  for (int i = 0; i < c.n_layers; ++i) {
    Tensor& k_proj = weights.at(weight_name(i, "self_attn.k_proj.weight"));
    for (int64_t j = 0; j < k_proj.size(); ++j) k_proj.data<float>()[j] *= spoiled.k_factor;
  }
  std::string config = to_json(c);
  if (!spoiled.from_config.empty())
    config.replace(config.find(spoiled.from_config), spoiled.from_config.size(), spoiled.into_config);
  SafetensorsWriter writer;
  for (const auto& [name, weight] : weights) writer.add(name, weight.view());
  writer.metadata("lastrow.config", config);
  nlohmann::json words = nlohmann::json::parse(tokenizer.to_json());
  for (auto& word : words["words"])
    if (word == "brown") word = spoiled.word;
  writer.metadata("lastrow.tokenizer", words.dump());
  writer.write(path);
}

}  // namespace lastrow::testing
