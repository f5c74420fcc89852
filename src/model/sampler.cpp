#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace lastrow {

Sampler::Sampler(SamplingOptions options, int32_t vocab_size) : options_(options) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature))
    throw UsageError("temperature {}: use 0 for greedy or a positive number such as 0.8",
                     options.temperature);
  if (options.top_k < 0)
    throw UsageError("top-k {}: use 0 for all tokens or a positive number", options.top_k);
  candidates_.resize(static_cast<size_t>(vocab_size));
  weights_.resize(static_cast<size_t>(vocab_size));
}

int32_t Sampler::choose(std::span<const float> logits, int32_t position) {
  LASTROW_CHECK(logits.size() == candidates_.size(), "{} logits, vocabulary {}", logits.size(),
                candidates_.size());
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (options_.temperature == 0) return static_cast<int32_t>(largest - logits.begin());

  // Candidates in falling order of their logit (ties by smaller id), cut to the k largest.
  std::iota(candidates_.begin(), candidates_.end(), 0);
  const size_t k = options_.top_k == 0 ? candidates_.size()
                                       : std::min(candidates_.size(), static_cast<size_t>(options_.top_k));
  const auto before = [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k),
                    candidates_.end(), before);

  double total = 0;
  for (size_t i = 0; i < k; ++i) {
    weights_[i] =
        std::exp((double{logits[candidates_[i]]} - double{*largest}) / double{options_.temperature});
    total += weights_[i];
  }
  Random random(options_.seed, static_cast<uint64_t>(position));
  double left = random.uniform() * total;
  for (size_t i = 0; i + 1 < k; ++i) {
    if (left < weights_[i]) return candidates_[i];
    left -= weights_[i];
  }
  return candidates_[k - 1];
}

std::vector<TokenProbability> most_probable(std::span<const float> logits, int32_t n) {
  std::vector<TokenProbability> all(logits.size());
  const float largest = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float x : logits) total += std::exp(double{x} - double{largest});
  for (size_t i = 0; i < logits.size(); ++i)
    all[i] = {static_cast<int32_t>(i),
              static_cast<float>(std::exp(double{logits[i]} - double{largest}) / total)};
  const size_t kept = std::min(all.size(), static_cast<size_t>(std::max(n, 0)));
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept), all.end(),
                    [&](const auto& a, const auto& b) {
                      return logits[a.token] != logits[b.token] ? logits[a.token] > logits[b.token]
                                                                : a.token < b.token;
                    });
  all.resize(kept);
  return all;
}

}  // namespace lastrow
