// The plain forward: by eye, then compared with the decoder.
#include "judge/plain_forward.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "backend/naive.h"
#include "cache/contiguous_cache.h"
#include "core/random.h"
#include "model/decoder.h"

using namespace lastrow;
using namespace lastrow::judge;

namespace {

/// Relative to the largest logit. Both forwards add the same terms in double precision, but in other orders.
/// A sum of n terms has an error of at most n · 2^-53 of their size. For the about 100 terms here this is
/// 1e-14, and a few such sums follow each other. The largest error of this test is 5e-15. A wrong weight or
/// angle gives 1e-3 or more.
constexpr double kTolerance = 1e-12;

PlainDecoder plain_of(const Model& model) {
  const ModelConfig& c = model.config();
  PlainDecoder plain;
  plain.gpt2 = c.architecture == Architecture::gpt2;
  plain.n_layers = c.n_layers, plain.model_dim = c.model_dim, plain.n_q_heads = c.n_q_heads;
  plain.n_kv_heads = c.n_kv_heads, plain.head_dim = c.head_dim, plain.ffn_dim = c.ffn_dim;
  plain.vocab_size = c.vocab_size;
  plain.norm_eps = c.norm_eps, plain.rope_theta = c.rope_theta;
  plain.interleaved = c.rope_pairing == RopePairing::interleaved;
  plain.tied = c.tied_embeddings;
  plain.alibi = c.alibi, plain.soft_cap = c.score_soft_cap;
  plain.window = c.window, plain.window_period = c.window_period;
  plain.weight = [&model](const std::string& name) { return model.weight(name); };
  return plain;
}

/// A random model with another RoPE pairing and another theta. If it is not tied, it has its own LM head.
std::shared_ptr<const Model> variant(const std::string& spec, RopePairing pairing, float theta, bool tied) {
  const auto random = random_model(spec);
  ModelConfig c = random->config();
  c.rope_pairing = pairing, c.rope_theta = theta, c.tied_embeddings = tied;
  std::map<std::string, Tensor> weights;
  const auto take = [&](const std::string& name) {
    const ConstTensorView from = random->weight(name);
    Tensor t = Tensor::host(from.dtype(), from.shape());
    convert(from, t.view());
    weights.emplace(name, std::move(t));
  };
  take("model.embed_tokens.weight");
  take("model.norm.weight");
  for (int i = 0; i < c.n_layers; ++i)
    for (const char* tail :
         {"input_layernorm.weight", "self_attn.q_proj.weight", "self_attn.k_proj.weight",
          "self_attn.v_proj.weight", "self_attn.o_proj.weight", "post_attention_layernorm.weight",
          "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight"})
      take(weight_name(i, tail));
  if (!tied) {
    Tensor head = Tensor::host(DType::f32, {c.vocab_size, c.model_dim});
    Random numbers(11);
    for (int64_t i = 0; i < head.size(); ++i)
      head.data<float>()[i] = static_cast<float>(numbers.uniform() - 0.5);
    weights.emplace("lm_head.weight", std::move(head));
  }
  return std::make_shared<const Model>(spec, c, Tokenizer::numbered(c.vocab_size), std::move(weights));
}

std::vector<int32_t> some_tokens(int32_t n, int64_t vocab_size) {
  Random numbers(5);
  std::vector<int32_t> tokens;
  for (int32_t t = 0; t < n; ++t) tokens.push_back(static_cast<int32_t>(numbers.below(vocab_size)));
  return tokens;
}

/// The logits of every token on naive-f64: a prefill of all but three tokens, then three decodes.
std::vector<double> decoded(const Model& model, const std::vector<int32_t>& tokens) {
  const ModelConfig& c = model.config();
  const auto n = static_cast<int32_t>(tokens.size());
  NaiveBackend<double> backend;
  const Decoder decoder(model, backend);
  Workspace workspace(c, backend, n, n);
  ContiguousCache cache(CacheSpec::contiguous(c.n_layers, c.n_kv_heads, c.head_dim, n));
  const auto storage = backend.make_storage(cache.spec());
  std::vector<double> logits;
  for (int32_t done = 0; done < n;) {
    const int32_t fed = done == 0 ? n - 3 : 1;
    const SequenceInput input{0, std::span(tokens).subspan(done, fed), LogitRows::all};
    const StepPlan& plan = cache.plan({&input, 1});
    const TensorView out = decoder.forward(backend, backend.begin_step(plan, *storage), *storage, workspace);
    cache.commit(plan);
    logits.insert(logits.end(), out.data<double>(), out.data<double>() + out.size());
    done += fed;
  }
  return logits;
}

/// Both forwards of a model agree.
void check_judged(const Model& model, int32_t n_tokens) {
  const std::vector<int32_t> tokens = some_tokens(n_tokens, model.config().vocab_size);
  const std::vector<double> expected = plain_forward(plain_of(model), tokens),
                            actual = decoded(model, tokens);
  REQUIRE(expected.size() == actual.size());
  double largest = 0, error = 0;
  size_t at = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    if (const double e = std::abs(actual[i] - expected[i]); !(e <= error)) error = e, at = i;
  }
  CHECK_MESSAGE(error <= kTolerance * largest,
                model.source() << ": token " << at / model.config().vocab_size << ", logit "
                               << at % model.config().vocab_size << " is " << actual[at] << ", expected "
                               << expected[at] << "; error " << error << ", largest logit " << largest);
}

}  // namespace

TEST_CASE("by eye: one layer of width 2 whose attention is a mean and whose MLP gives 0") {
  std::map<std::string, Tensor> weights;
  const auto set = [&](const char* name, Shape shape, std::vector<float> values) {
    Tensor t = Tensor::host(DType::f32, shape);
    std::copy(values.begin(), values.end(), t.data<float>());
    weights.emplace(name, std::move(t));
  };
  set("model.embed_tokens.weight", {2, 2}, {1, 1, 1, -1});
  set("model.norm.weight", {2}, {2, 3});
  set("model.layers.0.input_layernorm.weight", {2}, {1, 5});
  set("model.layers.0.self_attn.q_proj.weight", {2, 2}, {0, 0, 0, 0});  // all scores are 0
  set("model.layers.0.self_attn.k_proj.weight", {2, 2}, {0, 0, 0, 0});
  set("model.layers.0.self_attn.v_proj.weight", {2, 2}, {1, 0, 0, 1});
  set("model.layers.0.self_attn.o_proj.weight", {2, 2}, {1, 0, 0, 1});
  set("model.layers.0.post_attention_layernorm.weight", {2}, {1, 1});
  set("model.layers.0.mlp.gate_proj.weight", {1, 2}, {1, 1});
  set("model.layers.0.mlp.up_proj.weight", {1, 2}, {1, 1});
  set("model.layers.0.mlp.down_proj.weight", {2, 1}, {0, 0});
  PlainDecoder plain;
  plain.n_layers = 1, plain.model_dim = 2, plain.n_q_heads = 1, plain.n_kv_heads = 1, plain.head_dim = 2;
  plain.ffn_dim = 1, plain.vocab_size = 2, plain.norm_eps = 0;
  plain.weight = [&](const std::string& name) { return weights.at(name).view(); };

  // Token 0 is (1, 1) with root mean square 1, so its value row is (1, 5); that of token 1 is (1, −5).
  const int32_t tokens[] = {0, 1};
  const std::vector<double> logits = plain_forward(plain, tokens);
  REQUIRE(logits.size() == 4);
  // x = (1, 1) + (1, 5) = (2, 6), with root mean square √20; after the norm (4, 18)/√20.
  CHECK(logits[0] == doctest::Approx((4 + 18) / std::sqrt(20.0)).epsilon(1e-14));
  CHECK(logits[1] == doctest::Approx((4 - 18) / std::sqrt(20.0)).epsilon(1e-14));
  // x = (1, −1) + the mean of (1, 5) and (1, −5) = (2, −1), with root mean square √2.5.
  // After the norm: (4, −3)/√2.5.
  CHECK(logits[2] == doctest::Approx((4 - 3) / std::sqrt(2.5)).epsilon(1e-14));
  CHECK(logits[3] == doctest::Approx((4 + 3) / std::sqrt(2.5)).epsilon(1e-14));
  CHECK_THROWS_AS(plain_forward(plain, std::vector<int32_t>{2}), ShapeError);
}

TEST_CASE("the decoder on naive-f64 agrees with the plain forward: shapes, RoPE pairings, tied and untied") {
  const std::pair<const char*, int32_t> shapes[] = {
      {"random:layers=3,q_heads=4,kv_heads=4,head_dim=8,vocab=50,context=40,seed=1", 20},
      {"random:layers=3,q_heads=6,kv_heads=2,head_dim=10,model_dim=28,ffn=37,vocab=41,context=70,seed=2", 60},
      {"random:layers=2,q_heads=5,kv_heads=1,head_dim=16,model_dim=48,ffn=20,vocab=64,context=33,seed=3", 33},
      {"random:layers=1,q_heads=1,kv_heads=1,head_dim=2,vocab=7,context=9,seed=4", 9},
      {"random:layers=6,q_heads=8,kv_heads=2,head_dim=4,ffn=96,vocab=30,context=16,seed=5", 12}};
  for (const auto& [spec, n_tokens] : shapes)
    for (const RopePairing pairing : {RopePairing::halves, RopePairing::interleaved})
      for (const bool tied : {true, false}) {
        CAPTURE(pairing == RopePairing::interleaved);
        CAPTURE(tied);
        check_judged(*variant(spec, pairing, tied ? 10000.0f : 500.0f, tied), n_tokens);
      }
}

TEST_CASE("the built-in models as well: trained weights, stored in another type") {
  for (const std::string& name : builtin_model_names()) check_judged(*load_model(name), 40);
}

TEST_CASE("other scores and masks: ALiBi, a soft cap, a window in every layer or in some") {
  for (const auto& [spec, n_tokens] :
       {std::pair{"random:alibi=1,layers=3,q_heads=8,kv_heads=2,head_dim=5,vocab=50,context=40,seed=1", 20},
        {"random:alibi=1,layers=2,q_heads=6,kv_heads=3,head_dim=4,vocab=50,context=40,seed=2", 33},
        {"random:soft_cap=1,layers=3,q_heads=4,kv_heads=1,head_dim=8,vocab=50,context=40,seed=3", 20},
        {"random:window=5,layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=4", 40},
        {"random:window=7,window_period=2,soft_cap=2,layers=4,q_heads=4,kv_heads=2,head_dim=8,vocab=50,"
         "context=40",
         40},
        {"random:arch=gpt2,window=1,layers=2,q_heads=4,head_dim=8,vocab=50,context=40,seed=6", 12}}) {
    CAPTURE(spec);
    check_judged(*load_model(spec), n_tokens);
  }
}

TEST_CASE("a GPT-2: LayerNorm, learned positions, GELU, biases") {
  for (const auto& [spec, n_tokens] :
       {std::pair{"random:arch=gpt2,layers=3,q_heads=4,head_dim=8,vocab=50,context=40,seed=1", 20},
        {"random:arch=gpt2,layers=2,q_heads=6,kv_heads=2,head_dim=10,model_dim=28,ffn=37,vocab=41,context=33",
         33},
        {"random:arch=gpt2,layers=1,q_heads=1,head_dim=3,vocab=7,context=9,seed=4", 9}}) {
    CAPTURE(spec);
    check_judged(*load_model(spec), n_tokens);
  }
}
