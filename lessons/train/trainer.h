// The training loop: new fables in every step, AdamW, and a report every few steps.
//
//   TrainOptions options;  options.config = fable_config("fable-gqa");
//   std::vector<float> params = fit(layout, options, [](const Progress& p) { … });
//
// The loss is the cross-entropy to the probabilities of the grammar, not to the one token that was written.
// The expected gradient is the same but has much less noise, so much less text is needed.
//
// Training begins with short texts, because a head learns sooner what to copy among 64 tokens than among 256.
//
// The same binary, options and number of threads give the same bits. The text depends only on (seed, step,
// sequence). Each thread adds up the gradients of its own sequences in order.
// Then the sums of the threads are added up in order.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "train/optimizer.h"
#include "train/parameters.h"

namespace lastrow::train {

/// "fable-mha", "fable-gqa", "fable-mqa": 8, 2 and 1 K/V heads for 8 query heads. Throws UsageError.
ModelConfig fable_config(const std::string& name);

struct TrainOptions {
  AdamWOptions adamw;
  uint64_t seed = 1;
  int n_threads = 2;
  int batch = 4;            // sequences per step
  int seq_len = 256;        // tokens per sequence
  int first_seq_len = 64;   // tokens per sequence in the first part; a step then has more sequences instead
  double first_part = 0.5;  // share of all steps
  int report_every = 50;
};

struct Progress {
  int64_t step, n_steps;
  double loss, floor;  // nats per token on the same texts, mean since the last report
  double seconds, seconds_left;
};

/// Returns the parameters in f32.
std::vector<float> fit(const ParameterLayout& layout, const TrainOptions& options,
                       const std::function<void(const Progress&)>& report);

}  // namespace lastrow::train
