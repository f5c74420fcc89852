// From logits to a token: greedy, or drawn with temperature and top-k from a counter-based stream.
//
// The choice at a position is a function of (logits, options, position) alone, so that a step that is run
// again chooses again the same.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lastrow {

struct SamplingOptions {
  float temperature = 0;  // 0: greedy, the first of the largest logits
  int32_t top_k = 0;      // 0: all
  uint64_t seed = 1;
};

struct TokenProbability {
  int32_t token;
  float probability;
};

class Sampler {
 public:
  /// Throws UsageError for a negative or non-finite temperature or a negative top_k.
  Sampler(SamplingOptions options, int32_t vocab_size);
  /// A token of the vocabulary, whatever the logits: NaN ranks below all others.
  int32_t choose(std::span<const float> logits, int32_t position);

 private:
  SamplingOptions options_;
  std::vector<int32_t> candidates_;  // [vocab_size], memory kept between steps
  std::vector<double> weights_;
};

/// The n most probable tokens under softmax(logits), most probable first; ties by smaller id. With a NaN
/// among the logits every probability is NaN.
std::vector<TokenProbability> most_probable(std::span<const float> logits, int32_t n);

}  // namespace lastrow
