// K with outlier channels: a few channels that are much larger than the others, in every row. Trained models have them.
// With one scale for a row they choose the scale, and the other channels become 0. So the reconstructed rows may be
// close, and the text still be wrong. A scale for each channel of a block (cache/kv_channels.h) avoids that.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "core/tensor.h"
#include "session/evaluation.h"
#include "session/texts.h"
#include "trace/named_faults.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

constexpr float kOutlier = 64;   // a power of two, so products with it are exact
constexpr double kSmall = 1e-4;  // nats a token: about 0.01 % of the perplexity
constexpr double kManyTimes =
    1000;  // the divergence grows with the square of the rounding error: 64² times, about

/// Multiplies the weights of two channels of each head.
void scale_channels(Tensor& weights, const ModelConfig& c, float factor) {
  const int64_t n_heads = weights.shape()[0] / c.head_dim, dim = weights.shape()[1];
  for (int64_t head = 0; head < n_heads; ++head)
    for (const int64_t channel : {1, 1 + c.head_dim / 2}) {  // RoPE rotates these two into each other
      float* const row = weights.data<float>() + (head * c.head_dim + channel) * dim;
      std::transform(row, row + dim, row, [=](float x) { return factor * x; });
    }
}

/// The same model with two channels of K that are 64 times as large. Those of Q are 64 times smaller, so q·k stays the
/// same.
std::shared_ptr<const Model> with_outliers(const Model& model) {
  std::map<std::string, Tensor> weights;
  for (const auto& [name, view] : model.weights()) {
    Tensor copy = Tensor::host(DType::f32, view.shape());
    convert(view, copy.view());
    if (name.ends_with("k_proj.weight")) scale_channels(copy, model.config(), kOutlier);
    if (name.ends_with("q_proj.weight")) scale_channels(copy, model.config(), 1 / kOutlier);
    weights.emplace(name, std::move(copy));
  }
  return std::make_shared<const Model>("outliers", model.config(), model.tokenizer(), std::move(weights));
}

const Texts kLong = {kText, {4, 8, 15, 16, 23, 42, 1, 1, 2, 3, 5, 8, 13, 21, 34}};

Reference reference_of(const std::shared_ptr<const Model>& model) {
  DecodeSession session(model, naive(), {});
  return run_reference(session, kLong);
}

/// In blocks of 4, and steps of one token: most blocks are sealed.
Quality quality_of(const std::shared_ptr<const Model>& model, std::unique_ptr<Backend> backend,
                   const char* dtypes) {
  DecodeSession session(model, std::move(backend), {.chunk = 1, .cache = with_dtypes(paged(4), dtypes)});
  return evaluate(session, kLong, reference_of(model));
}

}  // namespace

TEST_CASE("outlier channels do not change what a model computes in f32") {
  const auto plain = load_model(kModel), outliers = with_outliers(*plain);
  CHECK(reference_of(plain).logits == reference_of(outliers).logits);
}

TEST_CASE(
    "outlier channels ruin K with a scale for each row, but not with a scale for each channel of a block") {
  const auto plain = load_model(kModel), outliers = with_outliers(*plain);
  for (const Factory make : {naive, eigen}) {
    const auto kl = [&](const auto& model, const char* dtypes) {
      return quality_of(model, make(), dtypes).kl_mean;
    };
    const double rows = kl(plain, "k=int8,v=f32"), channels = kl(plain, "k=int8-channel,v=f32");
    CHECK(rows < kSmall);
    CHECK(channels < kSmall);
    CHECK(kl(outliers, "k=int8-channel,v=f32") == channels);
    CHECK(kl(outliers, "k=int8,v=f32") > kManyTimes * rows);
  }
}

TEST_CASE("the fault token-scales brings the rounding of int8 back, for those who asked for int8-channel") {
  const auto outliers = with_outliers(*load_model(kModel));
  const Quality faulty = quality_of(outliers, with_fault("token-scales", naive(), 2), "int8-channel"),
                int8 = quality_of(outliers, naive(), "int8");
  CHECK(faulty.kl_mean == int8.kl_mean);
  CHECK(faulty.kl_max == int8.kl_max);
}
