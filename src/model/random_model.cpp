// Models of any size with random weights. They are for measurements; their text means nothing.
#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/memory_limit.h"
#include "core/number.h"
#include "core/random.h"
#include "core/stop.h"
#include "model/model.h"

namespace lastrow {
namespace {

constexpr int64_t kMostNumber = 1 << 24;
constexpr std::string_view kArchitectures[] = {"llama", "gpt2"};  // in the order of Architecture
// Streams of the seed. The matrices have the streams from 0.
constexpr uint64_t kFirstNormStream = uint64_t{1} << 32;
constexpr uint64_t kFirstBiasStream = uint64_t{1} << 33;

/// Splits "random:a=1,b=2" and calls set(key, value) for each pair. The value of "arch" is an index into
/// kArchitectures.
void for_each_pair(std::string_view spec, const auto& set) {
  std::string_view rest =
      spec.find(':') == std::string_view::npos ? std::string_view{} : spec.substr(spec.find(':') + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) == "arch" && equals != std::string_view::npos) {
      const auto found = std::ranges::find(kArchitectures, pair.substr(equals + 1));
      if (found == std::end(kArchitectures))
        throw UsageError("'{}' in '{}': the architectures are {}", pair, spec,
                         fmt::join(kArchitectures, ", "));
      set(pair.substr(0, equals), found - std::begin(kArchitectures));
      continue;
    }
    const auto value =
        equals == std::string_view::npos ? std::nullopt : whole_number<int64_t>(pair.substr(equals + 1));
    if (!value)
      throw UsageError(
          "'{}' in '{}' is not KEY=NUMBER: write for example random:layers=4,q_heads=8,kv_heads=2,seed=1",
          pair, spec);
    if (*value < 0 || *value > kMostNumber)
      throw UsageError("'{}' in '{}': give a number from 0 to {}", pair, spec, kMostNumber);
    set(pair.substr(0, equals), *value);
  }
}

struct Sizes {
  int64_t layers = 4, q_heads = 8, kv_heads = -1, head_dim = 64, model_dim = -1, ffn = -1, vocab = 256,
          context = 1024, seed = 1, arch = 0, alibi = 0, soft_cap = 0, window = 0, window_period = 1;
};

Sizes parse(const std::string& spec) {
  Sizes s;
  std::set<std::string_view> given;
  for_each_pair(spec, [&](std::string_view key, int64_t value) {
    const std::pair<std::string_view, int64_t*> known[] = {
        {"layers", &s.layers},       {"q_heads", &s.q_heads},
        {"kv_heads", &s.kv_heads},   {"head_dim", &s.head_dim},
        {"model_dim", &s.model_dim}, {"ffn", &s.ffn},
        {"vocab", &s.vocab},         {"context", &s.context},
        {"seed", &s.seed},           {"arch", &s.arch},
        {"alibi", &s.alibi},         {"soft_cap", &s.soft_cap},
        {"window", &s.window},       {"window_period", &s.window_period}};
    for (const auto& [name, target] : known)
      if (name == key) {
        if (!given.insert(name).second)
          throw UsageError("'{}' occurs twice in '{}': give it once", key, spec);
        *target = value;
        return;
      }
    throw UsageError(
        "'{}' is no key of a random model: use layers q_heads kv_heads head_dim model_dim ffn vocab "
        "context seed arch alibi soft_cap window window_period",
        key);
  });
  if (s.alibi > 1) throw UsageError("'alibi={}' in '{}': give 1 for ALiBi, or 0 for none", s.alibi, spec);
  if (s.kv_heads < 0) s.kv_heads = s.q_heads;
  if (s.model_dim < 0) s.model_dim = s.q_heads * s.head_dim;
  if (s.ffn < 0) s.ffn = 2 * s.model_dim;
  return s;
}

ModelConfig to_config(const std::string& spec, const Sizes& s) {
  ModelConfig c;
  const auto narrow = [&](int64_t n) { return static_cast<int>(std::min<int64_t>(n, 1 << 25)); };
  c.architecture = static_cast<Architecture>(s.arch);
  c.n_layers = narrow(s.layers);
  c.model_dim = narrow(s.model_dim);
  c.n_q_heads = narrow(s.q_heads);
  c.n_kv_heads = narrow(s.kv_heads);
  c.head_dim = narrow(s.head_dim);
  c.ffn_dim = narrow(s.ffn);
  c.vocab_size = narrow(s.vocab);
  c.max_seq_len = narrow(s.context);
  c.alibi = s.alibi == 1;
  c.score_soft_cap = static_cast<float>(s.soft_cap);
  c.window = narrow(s.window);
  c.window_period = narrow(s.window_period);
  c.name = spec;
  validate(c);
  return c;
}

/// The weights of a random model. Each matrix, norm and bias has a stream of the seed for itself.
class RandomWeights {
 public:
  explicit RandomWeights(uint64_t seed) : seed_(seed) {}

  void matrix(const std::string& name, int64_t rows, int64_t columns) {
    Tensor t(Memory::host(), DType::f32, {rows, columns});
    Random random(seed_, matrix_stream_++);
    // Uniform with variance 1/columns, from one word per weight. The distribution hardly matters here, and
    // this one is fast. The top 23 bits of the word plus a half are exact in f32, symmetric about 0, and
    // never 0.
    const auto width = static_cast<float>(std::sqrt(12.0 / static_cast<double>(columns)));
    float* const weight = t.data<float>();
    for (int64_t i = 0; i < t.size(); ++i) {
      if (i % (int64_t{1} << 16) == 0) stop_if_asked();
      weight[i] = (static_cast<float>(random.next_u32() >> 9) + 0.5f - 0x1p22f) * 0x1p-23f * width;
    }
    weights_.emplace(name, std::move(t));
  }

  /// Uniform in [0.75, 1.25). No two norms are equal, so swapping two changes the logits.
  void norm(const std::string& name, int64_t dim) {
    weights_.emplace(name, uniform_half(dim, norm_stream_++, 0.75f));
  }

  /// For every matrix and norm so far but the embeddings, uniform in [−0.25, 0.25). No two are equal.
  void add_biases() {
    std::map<std::string, Tensor> biases;
    for (const auto& [name, weight] : weights_)
      if (name.find("embed_") == std::string::npos)
        biases.emplace(bias_name(name), uniform_half(weight.shape()[0], bias_stream_++, -0.25f));
    weights_.merge(biases);
  }

  std::map<std::string, Tensor> take() { return std::move(weights_); }

 private:
  /// Uniform in [from, from + 0.5), exact in f32.
  Tensor uniform_half(int64_t n, uint64_t stream, float from) const {
    Tensor t = Tensor::host(DType::f32, {n});
    Random random(seed_, stream);
    for (int64_t i = 0; i < n; ++i)
      t.data<float>()[i] = from + static_cast<float>(random.next_u32() >> 10) * 0x1p-23f;
    return t;
  }

  uint64_t seed_;
  uint64_t matrix_stream_ = 0, norm_stream_ = kFirstNormStream, bias_stream_ = kFirstBiasStream;
  std::map<std::string, Tensor> weights_;
};

}  // namespace

ModelConfig random_model_config(const std::string& spec) { return to_config(spec, parse(spec)); }

int64_t random_model_bytes(const ModelConfig& config) {
  // Each tensor of a layer has its name in two maps, with map nodes, alignment, and an entry in the list of
  // check(). A test compares this number with the memory that a model with small layers takes.
  constexpr int64_t kTensorOverheadBytes = 740;
  const int64_t n_tensors = config.has_biases() ? 16 : 9;  // per layer
  return weights_bytes(shape_of(config)) + config.n_layers * n_tensors * kTensorOverheadBytes;
}

std::shared_ptr<const Model> random_model(const std::string& spec) {
  const Sizes s = parse(spec);
  const ModelConfig c = to_config(spec, s);
  require_memory(random_model_bytes(c), spec, "use fewer or narrower layers, or a smaller context");

  RandomWeights weights(static_cast<uint64_t>(s.seed));
  weights.matrix("model.embed_tokens.weight", c.vocab_size, c.model_dim);
  if (c.learns_positions()) weights.matrix("model.embed_positions.weight", c.max_seq_len, c.model_dim);
  weights.norm("model.norm.weight", c.model_dim);
  const int64_t q_dim = s.q_heads * s.head_dim, kv_dim = s.kv_heads * s.head_dim;
  for (int i = 0; i < c.n_layers; ++i) {
    weights.norm(weight_name(i, "input_layernorm.weight"), c.model_dim);
    weights.matrix(weight_name(i, "self_attn.q_proj.weight"), q_dim, s.model_dim);
    weights.matrix(weight_name(i, "self_attn.k_proj.weight"), kv_dim, s.model_dim);
    weights.matrix(weight_name(i, "self_attn.v_proj.weight"), kv_dim, s.model_dim);
    weights.matrix(weight_name(i, "self_attn.o_proj.weight"), s.model_dim, q_dim);
    weights.norm(weight_name(i, "post_attention_layernorm.weight"), c.model_dim);
    if (c.gates_ffn()) weights.matrix(weight_name(i, "mlp.gate_proj.weight"), s.ffn, s.model_dim);
    weights.matrix(weight_name(i, "mlp.up_proj.weight"), s.ffn, s.model_dim);
    weights.matrix(weight_name(i, "mlp.down_proj.weight"), s.model_dim, s.ffn);
  }
  if (c.has_biases()) weights.add_biases();
  return std::make_shared<const Model>(spec, c, Tokenizer::numbered(c.vocab_size), weights.take());
}

}  // namespace lastrow
