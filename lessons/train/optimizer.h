// AdamW over a flat parameter array, with a warm-up and a cosine decay of the learning rate.
//
//   AdamW adamw(layout, options);
//   adamw.step(params, gradient);        clips the gradient to norm 1, then updates params
//
// Source: Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "train/parameters.h"

namespace lastrow::train {

struct AdamWOptions {
  int64_t n_steps = 16000;     // the cosine reaches last_rate · rate here
  int64_t warmup_steps = 100;  // the rate rises linearly from 0
  double rate = 4e-3;
  double last_rate = 0.02;
  double beta1 = 0.9, beta2 = 0.98;
  double weight_decay = 0.02;  // matrices only
  double max_norm = 1.0;
};

class AdamW {
 public:
  AdamW(const ParameterLayout& layout, const AdamWOptions& options);

  /// The learning rate of step `step`, counted from 0.
  double rate(int64_t step) const;
  /// Both [layout.size()]. The bits of a run repeat only if the arrays have the same alignment, so pass
  /// arrays of Eigen, not of std::vector.
  void step(float* params, const float* gradient);

 private:
  const ParameterLayout& layout_;
  AdamWOptions options_;
  int64_t step_ = 0;
  Eigen::ArrayXf mean_, square_;  // [n_params] of the gradient, decaying
};

}  // namespace lastrow::train
