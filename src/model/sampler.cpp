#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace lastrow {
namespace {

/// A NaN logit ranks below all others, so that sorting works.
float rank(float logit) { return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit; }

/// Larger logits first, ties by smaller id.
struct ByFallingLogit {
  std::span<const float> logits;
  bool operator()(int32_t a, int32_t b) const {
    const float x = rank(logits[a]), y = rank(logits[b]);
    return x != y ? x > y : a < b;
  }
};

float largest_logit(std::span<const float> logits) {
  float largest = -std::numeric_limits<float>::infinity();
  for (const float logit : logits) largest = std::max(largest, rank(logit));
  return largest;
}

}  // namespace

Sampler::Sampler(SamplingOptions options, int32_t vocab_size) : options_(options) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    throw UsageError("temperature {}: use 0 for greedy or a positive number such as 0.8",
                     options.temperature);
  if (options.top_k < 0)
    throw UsageError("top-k {}: use 0 for all tokens or a positive number", options.top_k);
  candidates_.resize(static_cast<size_t>(vocab_size));
  weights_.resize(static_cast<size_t>(vocab_size));
}

int32_t Sampler::choose(std::span<const float> logits, int32_t position, uint64_t seed) {
  LASTROW_CHECK(logits.size() == candidates_.size(), "{} logits, vocabulary {}", logits.size(),
                candidates_.size());
  const ByFallingLogit before{logits};
  if (options_.temperature == 0) {
    int32_t best = 0;
    for (int32_t i = 1; i < static_cast<int32_t>(logits.size()); ++i)
      if (before(i, best)) best = i;
    return best;
  }

  // The candidates are the k largest logits, largest first (ties by smaller id).
  std::iota(candidates_.begin(), candidates_.end(), 0);
  const size_t k = options_.top_k == 0 ? candidates_.size()
                                       : std::min(candidates_.size(), static_cast<size_t>(options_.top_k));
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k),
                    candidates_.end(), before);

  const double largest = largest_logit(logits);
  double total = 0;
  for (size_t i = 0; i < k; ++i) {
    weights_[i] = std::exp((rank(logits[candidates_[i]]) - largest) / double{options_.temperature});
    total += weights_[i];
  }
  Random random(seed, static_cast<uint64_t>(position));
  double left = random.uniform() * total;
  for (size_t i = 0; i + 1 < k; ++i) {
    if (left < weights_[i]) return candidates_[i];
    left -= weights_[i];
  }
  return candidates_[k - 1];
}

std::vector<TokenProbability> most_probable(std::span<const float> logits, int32_t n) {
  std::vector<TokenProbability> all(logits.size());
  const float largest = largest_logit(logits);
  double total = 0;
  for (const float x : logits) total += std::exp(double{x} - double{largest});
  for (size_t i = 0; i < logits.size(); ++i)
    all[i] = {static_cast<int32_t>(i),
              static_cast<float>(std::exp(double{logits[i]} - double{largest}) / total)};
  const size_t kept = std::min(all.size(), static_cast<size_t>(std::max(n, 0)));
  std::partial_sort(
      all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept), all.end(),
      [before = ByFallingLogit{logits}](const auto& a, const auto& b) { return before(a.token, b.token); });
  all.resize(kept);
  return all;
}

}  // namespace lastrow
