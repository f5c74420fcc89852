// Chooses a token from logits: greedily, or at random with temperature and top-k.
//
//   Sampler sampler({.temperature = 0.8f, .top_k = 40, .seed = 7}, vocab_size);
//   int32_t token = sampler.choose(logits, position);      position: that of the chosen token
//
// The random numbers are counter-based (core/random.h). So the choice depends only on (logits, options,
// position), and a step that runs again chooses the same token again. One sampler can serve several texts,
// each with a seed of its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lastrow {

struct SamplingOptions {
  float temperature = 0;  // 0: greedy, the smallest id among the largest logits
  int32_t top_k = 0;      // 0: all tokens
  uint64_t seed = 1;
  bool operator==(const SamplingOptions&) const = default;
};

struct TokenProbability {
  int32_t token;
  float probability;
};

class Sampler {
 public:
  /// Throws UsageError for a negative or non-finite temperature or a negative top_k.
  Sampler(SamplingOptions options, int32_t vocab_size);
  /// Always returns a token of the vocabulary. A NaN logit ranks below all others.
  int32_t choose(std::span<const float> logits, int32_t position) {
    return choose(logits, position, options_.seed);
  }
  /// The same with this seed in place of the options' seed.
  int32_t choose(std::span<const float> logits, int32_t position, uint64_t seed);

 private:
  SamplingOptions options_;
  std::vector<int32_t> candidates_;  // [vocab_size]; this memory is kept between steps
  std::vector<double> weights_;
};

/// The n most probable tokens under softmax(logits), most probable first; ties by smaller id. If a logit is
/// NaN, every probability is NaN.
std::vector<TokenProbability> most_probable(std::span<const float> logits, int32_t n);

}  // namespace lastrow
