#include "model/config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/checked.h"
#include "io/json.h"

namespace lastrow {
namespace {

const char* name_of(RopePairing pairing) { return pairing == RopePairing::halves ? "halves" : "interleaved"; }

RopePairing pairing_from_name(const std::string& name) {
  if (name == "halves") return RopePairing::halves;
  if (name == "interleaved") return RopePairing::interleaved;
  throw FileError("model config: rope_pairing is {}: it must be 'halves' or 'interleaved'", shown(name));
}

const char* name_of(Architecture a) { return a == Architecture::llama ? "llama" : "gpt2"; }

Architecture architecture_from_name(const std::string& name) {
  if (name == "llama") return Architecture::llama;
  if (name == "gpt2") return Architecture::gpt2;
  throw FileError("model config: architecture is {}: it must be 'llama' or 'gpt2'", shown(name));
}

}  // namespace

void validate(const ModelConfig& c) {
  const auto require_positive = [](const char* name, int value) {
    if (value <= 0) throw ShapeError("model config: {} is {}: it must be at least 1", name, value);
    if (value > (1 << 24))
      throw ShapeError("model config: {} is {}: that is too large for any model; check the number", name,
                       value);
  };
  require_positive("n_layers", c.n_layers);
  require_positive("model_dim", c.model_dim);
  require_positive("n_q_heads", c.n_q_heads);
  require_positive("n_kv_heads", c.n_kv_heads);
  require_positive("head_dim", c.head_dim);
  require_positive("ffn_dim", c.ffn_dim);
  require_positive("vocab_size", c.vocab_size);
  require_positive("max_seq_len", c.max_seq_len);
  if (c.n_q_heads % c.n_kv_heads != 0)
    throw ShapeError(
        "model config: {} query heads cannot share {} K/V heads: make n_q_heads a multiple of n_kv_heads",
        c.n_q_heads, c.n_kv_heads);
  if (c.alibi && c.learns_positions())
    throw ShapeError("model config: ALiBi beside learned positions: use it with architecture 'llama'");
  if (!(c.score_soft_cap >= 0) || !(c.score_soft_cap < 1e12f))
    throw ShapeError("model config: score_soft_cap is {}: it must be above 0 and below 1e12, or 0 for none",
                     c.score_soft_cap);
  if (c.window < 0)
    throw ShapeError("model config: window is {}: give a number of keys, or 0 for none", c.window);
  require_positive("window_period", c.window_period);
  if (c.window_period != 1 && c.window == 0)
    throw ShapeError("model config: window_period is {} without a window: give a window too",
                     c.window_period);
  if (c.head_dim % 2 != 0 && c.has_rope())
    throw ShapeError("model config: head_dim {} is odd: RoPE rotates pairs of elements, so it must be even",
                     c.head_dim);
  if (!(c.norm_eps > 0) || !(c.norm_eps < 1))
    throw ShapeError("model config: norm_eps is {}: it must be in (0, 1)", c.norm_eps);
  if (!(c.rope_theta > 1) || !(c.rope_theta < 1e12f))
    throw ShapeError("model config: rope_theta is {}: it must be above 1 and below 1e12", c.rope_theta);
  if (int64_t{c.n_q_heads} * c.head_dim > (1 << 30))
    throw ShapeError("model config: {} query heads of head_dim {}: their product must be at most {}",
                     c.n_q_heads, c.head_dim, 1 << 30);
  const double params =
      2.0 * c.vocab_size * c.model_dim +
      double(c.n_layers) * c.model_dim *
          (2.0 * c.n_q_heads * c.head_dim + 2.0 * c.n_kv_heads * c.head_dim + 3.0 * c.ffn_dim);
  if (params > 1e12)
    throw ShapeError("model config: about {:.2g} parameters are too many; check the sizes", params);
  constexpr int kMostLayers = 1 << 16;  // more than any model has; each takes kilobytes beside its weights
  if (c.n_layers > kMostLayers)
    throw ShapeError("model config: n_layers is {}: at most {} are allowed; check the number", c.n_layers,
                     kMostLayers);
}

std::string weight_name(int layer, const char* tail) {
  return fmt::format("model.layers.{}.{}", layer, tail);
}

std::string bias_name(const std::string& weight_name) {
  return weight_name.substr(0, weight_name.rfind('.')) + ".bias";
}

AttendSpec attend_spec(const ModelConfig& c, int layer) {
  return {.score = {.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(c.head_dim))),
                    .soft_cap = c.score_soft_cap,
                    .alibi_heads = c.alibi ? c.n_q_heads : 0},
          .mask = {.window = layer % c.window_period == 0 ? c.window : 0}};
}

AttendSpec attend_spec(const ModelConfig& c, int layer, int32_t window, int32_t sinks) {
  AttendSpec spec = attend_spec(c, layer);
  spec.mask = narrowed(spec.mask, window, sinks);
  return spec;
}

void require_window(const ModelConfig& c, int32_t window, int32_t sinks) {
  for (int layer = 0; layer < c.n_layers; ++layer)
    if (const MaskRule own = attend_spec(c, layer).mask; own.window > 0 && window > 0 && sinks > 0)
      throw UsageError(
          "layer {} of {} has a window of its own, {}, which hides the {} sinks of the cache from later "
          "tokens: "
          "leave out the sinks",
          layer, c.name, own.window, sinks);
}

ModelShape shape_of(const ModelConfig& c, DType weight_dtype) {
  ModelShape shape;
  shape.name = c.name;
  shape.n_layers = c.n_layers;
  shape.n_q_heads = c.n_q_heads;
  shape.n_kv_heads = c.n_kv_heads;
  shape.head_dim = c.head_dim;
  shape.model_dim = c.model_dim;
  shape.ffn_dim = c.ffn_dim;
  shape.vocab_size = c.vocab_size;
  shape.max_seq_len = c.max_seq_len;
  shape.tied_embeddings = c.tied_embeddings;
  shape.learned_positions = c.learns_positions();
  shape.alibi = c.alibi;
  shape.window = c.window;
  shape.window_period = c.window_period;
  shape.gated_mlp = c.gates_ffn();
  shape.qkv_bias = shape.other_bias = c.has_biases();
  shape.norm = c.has_biases() ? NormKind::layer : NormKind::rms;
  shape.weight_dtype = weight_dtype;
  return shape;
}

std::string to_json(const ModelConfig& c) {
  nlohmann::ordered_json json = {{"name", c.name},
                                 {"n_layers", c.n_layers},
                                 {"model_dim", c.model_dim},
                                 {"n_q_heads", c.n_q_heads},
                                 {"n_kv_heads", c.n_kv_heads},
                                 {"head_dim", c.head_dim},
                                 {"ffn_dim", c.ffn_dim},
                                 {"vocab_size", c.vocab_size},
                                 {"max_seq_len", c.max_seq_len},
                                 {"norm_eps", c.norm_eps},
                                 {"rope_theta", c.rope_theta},
                                 {"rope_pairing", name_of(c.rope_pairing)},
                                 {"tied_embeddings", c.tied_embeddings}};
  if (c.architecture != Architecture::llama) json["architecture"] = name_of(c.architecture);
  if (c.alibi) json["alibi"] = true;
  if (c.score_soft_cap != 0) json["score_soft_cap"] = c.score_soft_cap;
  if (c.window != 0) json["window"] = c.window;
  if (c.window_period != 1) json["window_period"] = c.window_period;
  return json.dump();
}

ModelConfig config_from_json(const std::string& text) {
  const nlohmann::json json = parse_json(text, "model config");
  const auto field = [&]<typename T>(const char* name, T& value) {
    if (!json.is_object() || !json.contains(name))
      throw FileError("model config: field '{}' is missing", name);
    const auto& entry = json.at(name);
    const bool fits = std::is_same_v<T, bool>          ? entry.is_boolean()
                      : std::is_same_v<T, std::string> ? entry.is_string()
                      : std::is_same_v<T, int>         ? entry.is_number_integer()
                                                       : entry.is_number();
    if (!fits)
      throw FileError("model config: field '{}' has the wrong type: {}", name,
                      escaped(entry.dump().substr(0, 60)));
    if constexpr (std::is_same_v<T, int>) {
      const auto wide = entry.template get<int64_t>();
      if (wide < 0 || wide > (1 << 30))
        throw FileError("model config: field '{}' is {}, which is out of range", name, entry.dump());
      value = static_cast<int>(wide);
    } else {
      value = entry.template get<T>();
    }
  };
  ModelConfig c;
  std::string pairing;
  field("name", c.name);
  c.name = escaped(c.name);  // many places print it
  field("n_layers", c.n_layers);
  field("model_dim", c.model_dim);
  field("n_q_heads", c.n_q_heads);
  field("n_kv_heads", c.n_kv_heads);
  field("head_dim", c.head_dim);
  field("ffn_dim", c.ffn_dim);
  field("vocab_size", c.vocab_size);
  field("max_seq_len", c.max_seq_len);
  field("norm_eps", c.norm_eps);
  field("rope_theta", c.rope_theta);
  field("rope_pairing", pairing);
  field("tied_embeddings", c.tied_embeddings);
  c.rope_pairing = pairing_from_name(pairing);
  // These fields are left out where they say what is usual.
  if (json.contains("architecture")) {
    std::string architecture;
    field("architecture", architecture);
    c.architecture = architecture_from_name(architecture);
  }
  if (json.contains("alibi")) field("alibi", c.alibi);
  if (json.contains("score_soft_cap")) field("score_soft_cap", c.score_soft_cap);
  if (json.contains("window")) field("window", c.window);
  if (json.contains("window_period")) field("window_period", c.window_period);
  validate(c);
  return c;
}

}  // namespace lastrow
