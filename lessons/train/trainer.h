// The training loop: endless fresh fables, AdamW, a line of progress now and then.
//
//   TrainOptions options;  options.config = fable_config("fable-gqa");
//   std::vector<float> params = fit(layout, options, [](const Progress& p) { … });
//
// The loss is the cross-entropy to the grammar's own probabilities, not to the token that happened to be
// written: the gradient is the same in expectation and has far less noise, so that a fraction of the text
// suffices.
//
// It begins with short texts: a head finds what it is to copy sooner among 64 tokens than among 256.
//
// The same binary, options and thread count give the same bits: text is a function of (seed, step, sequence),
// and each thread's gradient is the sum over its own sequences in order, added up in the order of threads.
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
  int batch = 4;            // sequences a step
  int seq_len = 256;        // tokens of a sequence
  int first_seq_len = 64;   // in the first part, where as many times more sequences make up a step
  double first_part = 0.5;  // of all steps
  int report_every = 50;
};

struct Progress {
  int64_t step, n_steps;
  double loss, floor;  // nats per token, mean since the last report, of the same texts
  double seconds, seconds_left;
};

/// Returns the parameters in f32.
std::vector<float> fit(const ParameterLayout& layout, const TrainOptions& options,
                       const std::function<void(const Progress&)>& report);

}  // namespace lastrow::train
