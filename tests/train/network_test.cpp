#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/random.h"
#include "train/network.h"
#include "train/optimizer.h"

using namespace lastrow;
using namespace lastrow::train;

namespace {

ModelConfig tiny(int n_kv_heads, int n_layers = 2) {
  ModelConfig c;
  c.n_layers = n_layers;
  c.model_dim = 12;
  c.n_q_heads = 4;
  c.n_kv_heads = n_kv_heads;
  c.head_dim = 4;
  c.ffn_dim = 10;
  c.vocab_size = 11;
  c.max_seq_len = 80;
  return c;
}

/// Initial parameters, disturbed so that no gain is exactly 1.
std::vector<double> parameters(const ParameterLayout& layout, uint64_t seed) {
  Random random(seed, 99);
  std::vector<double> params;
  for (float x : initial_parameters(layout, seed)) params.push_back(double{x} + 0.05 * random.normal());
  return params;
}

std::vector<int32_t> random_tokens(int n, uint64_t seed) {
  Random random(seed, 98);
  std::vector<int32_t> tokens;
  for (int i = 0; i < n; ++i) tokens.push_back(static_cast<int32_t>(random.below(11)));
  return tokens;
}

double nats(Network<double>& net, const std::vector<double>& params, const std::vector<int32_t>& tokens) {
  net.forward(params.data(), tokens);
  return net.loss(tokens);
}

}  // namespace

TEST_CASE("with all weights 0 every token costs ln(vocab_size)") {
  const ParameterLayout layout(tiny(2));
  Network<double> net(layout, 8);
  const std::vector<double> zero(static_cast<size_t>(layout.size()), 0.0);
  CHECK(nats(net, zero, {1, 2, 3, 4}) == doctest::Approx(3 * std::log(11.0)).epsilon(1e-12));
}

TEST_CASE("with its layers switched off the model predicts the token most like the last one") {
  const ParameterLayout layout(tiny(4));
  std::vector<double> params(static_cast<size_t>(layout.size()), 0.0);
  // One-hot embeddings of size 3; a final gain of 1: logits are 3·√12·(last token's one-hot).
  for (int64_t token = 0; token < 11; ++token) params[static_cast<size_t>(token * 12 + token)] = 3.0;
  const ParameterTensor& gain = layout.tensors()[static_cast<size_t>(layout.final_norm())];
  for (int64_t i = 0; i < gain.size(); ++i) params[static_cast<size_t>(gain.offset + i)] = 1.0;
  Network<double> net(layout, 4);
  net.forward(params.data(), std::vector<int32_t>{7, 2});
  CHECK(net.logits()(0, 7) == doctest::Approx(3 * std::sqrt(12.0)).epsilon(1e-4));
  CHECK(net.logits()(1, 2) == doctest::Approx(3 * std::sqrt(12.0)).epsilon(1e-4));
  CHECK(net.logits()(1, 7) == 0);
}

TEST_CASE(
    "cross-entropy to what is certain is the loss; to anything else it is smallest at the target itself") {
  const ParameterLayout layout(tiny(2));
  const std::vector<double> params = parameters(layout, 2);
  const std::vector<int32_t> tokens = {1, 2, 3, 4};
  Network<double> net(layout, 8);
  net.forward(params.data(), tokens);
  const double last = net.cross_entropy(std::vector<Choices>{{{2, 1.0}}, {{3, 1.0}}, {{4, 1.0}}, {}});
  CHECK(last == doctest::Approx(nats(net, params, tokens)).epsilon(1e-12));

  const std::vector<double> zero(params.size(), 0.0);  // predicts all 11 alike
  net.forward(zero.data(), std::vector<int32_t>{5});
  const Choices half = {{0, 0.5}, {7, 0.5}};
  CHECK(net.cross_entropy(std::vector<Choices>{half}) == doctest::Approx(std::log(11.0)));
  CHECK(net.logits()(0, 7) == doctest::Approx(1.0 / 11 - 0.5));  // the derivative: p − target
  CHECK(net.logits()(0, 1) == doctest::Approx(1.0 / 11));
}

TEST_CASE("the backward pass is the derivative: every parameter against central differences") {
  // The five-point formula has two errors: h⁴/30·|f⁽⁵⁾|, and rounding of about |f|·2^-52/h. With f near 200 nats and
  // h = 1e-4, rounding gives 4e-10. The first error exceeds 1e-7 only if a fifth derivative exceeds 1e10.
  constexpr double kStep = 1e-4, kTolerance = 1e-7;
  for (const auto& [n_kv_heads, n_tokens] : {std::pair{4, 9}, {2, 70}, {1, 3}, {1, 64}}) {
    const ParameterLayout layout(tiny(n_kv_heads));
    std::vector<double> params = parameters(layout, 3);
    const std::vector<int32_t> tokens = random_tokens(n_tokens, 4);
    Network<double> net(layout, 80);
    std::vector<double> gradient(params.size(), 0.0);
    (void)nats(net, params, tokens);
    net.backward(params.data(), tokens, 1.0, gradient.data());
    for (const ParameterTensor& t : layout.tensors()) {
      double worst = 0, largest = 0;
      for (int64_t i = t.offset; i < t.offset + t.size(); ++i) {
        double& p = params[static_cast<size_t>(i)];
        const double kept = p;
        const auto at = [&](double offset) {
          p = kept + offset;
          return nats(net, params, tokens);
        };
        const double near = at(kStep) - at(-kStep), far = at(2 * kStep) - at(-2 * kStep);
        p = kept;
        const double expected = (8 * near - far) / (12 * kStep);
        worst = std::max(worst, std::abs(expected - gradient[static_cast<size_t>(i)]));
        largest = std::max(largest, std::abs(expected));
      }
      CAPTURE(t.name);
      CAPTURE(n_kv_heads);
      CAPTURE(n_tokens);
      CHECK(worst <= kTolerance * std::max(1.0, largest));
      CHECK(largest > 1e-4);
    }
  }
}

TEST_CASE("the derivative of the cross-entropy, along the gradient, against central differences") {
  const ParameterLayout layout(tiny(2));
  const std::vector<double> params = parameters(layout, 11);
  const std::vector<int32_t> tokens = random_tokens(20, 12);
  std::vector<Choices> targets;
  for (int i = 0; i < 20; ++i) targets.push_back({{i % 11, 0.7}, {(i + 3) % 11, 0.2}, {(i + 5) % 11, 0.1}});
  Network<double> net(layout, 20);
  std::vector<double> gradient(params.size(), 0.0);
  net.forward(params.data(), tokens);
  (void)net.cross_entropy(targets);
  net.backward(params.data(), tokens, 1.0, gradient.data());
  double square = 0;
  for (double g : gradient) square += g * g;
  const auto at = [&](double step) {
    std::vector<double> moved = params;
    for (size_t i = 0; i < moved.size(); ++i) moved[i] += step * gradient[i];
    net.forward(moved.data(), tokens);
    return net.cross_entropy(targets);
  };
  constexpr double kStep = 1e-6;
  CHECK((at(kStep) - at(-kStep)) / (2 * kStep) == doctest::Approx(square).epsilon(1e-6));
}

TEST_CASE("backward adds to the gradient and scales it") {
  const ParameterLayout layout(tiny(2));
  const std::vector<double> params = parameters(layout, 5);
  const std::vector<int32_t> tokens = random_tokens(12, 6);
  Network<double> net(layout, 12);
  std::vector<double> once(params.size(), 0.0), added(params.size(), 1.0);
  (void)nats(net, params, tokens);
  net.backward(params.data(), tokens, 1.0, once.data());
  (void)nats(net, params, tokens);
  net.backward(params.data(), tokens, 0.5, added.data());
  for (size_t i = 0; i < once.size(); ++i)
    REQUIRE(added[i] == doctest::Approx(1 + 0.5 * once[i]).epsilon(1e-12));
}

TEST_CASE("the mask is causal: a later token changes no earlier logit, and attention rows sum to 1") {
  const ParameterLayout layout(tiny(2));
  const std::vector<double> params = parameters(layout, 7);
  Network<double> net(layout, 80);
  std::vector<int32_t> tokens = random_tokens(67, 8);
  net.forward(params.data(), tokens);
  const Network<double>::Matrix before = net.logits();
  for (int layer = 0; layer < 2; ++layer)
    for (int64_t row = 0; row < 4 * 67; ++row) {
      const double* p = net.attention(layer).row(row).data();  // [67]
      const int64_t query = row % 67;
      double seen = 0, unseen = 0;
      for (int64_t s = 0; s < 67; ++s) (s <= query ? seen : unseen) += std::abs(p[s]);
      CHECK(seen == doctest::Approx(1).epsilon(1e-12));
      CHECK(unseen == 0);
    }
  tokens[60] = (tokens[60] + 1) % 11;
  net.forward(params.data(), tokens);
  CHECK(net.logits().topRows(60) == before.topRows(60));
  CHECK(net.logits().row(60) != before.row(60));
}

TEST_CASE("a shorter text after a longer one gives what it gives alone") {
  const ParameterLayout layout(tiny(1));
  const std::vector<double> params = parameters(layout, 9);
  const std::vector<int32_t> tokens = random_tokens(70, 10), few(tokens.begin(), tokens.begin() + 5);
  Network<double> used(layout, 80), fresh(layout, 80);
  used.forward(params.data(), tokens);
  used.forward(params.data(), few);
  fresh.forward(params.data(), few);
  CHECK(used.logits() == fresh.logits());
  CHECK(used.attention(1) == fresh.attention(1));
}

TEST_CASE("AdamW: the first step moves each parameter by the rate against its gradient's sign") {
  const ParameterLayout layout(tiny(2, 1));
  const AdamW adamw_rates(layout, {.n_steps = 1000, .warmup_steps = 10, .rate = 1e-2, .last_rate = 0.1});
  CHECK(adamw_rates.rate(0) == doctest::Approx(1e-3));
  CHECK(adamw_rates.rate(9) == doctest::Approx(1e-2));
  CHECK(adamw_rates.rate(1000) == doctest::Approx(1e-3));
  AdamW adamw(layout, {.n_steps = 10, .warmup_steps = 1, .rate = 1e-2, .weight_decay = 0});
  std::vector<float> params(static_cast<size_t>(layout.size()), 1.0f), gradient(params.size(), 0.0f);
  gradient[3] = 0.25f;
  gradient[4] = -4.0f;
  adamw.step(params.data(), gradient.data());
  CHECK(params[3] == doctest::Approx(0.99).epsilon(1e-5));
  CHECK(params[4] == doctest::Approx(1.01).epsilon(1e-5));
  CHECK(params[5] == 1.0f);
}
