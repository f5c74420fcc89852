#include "train/optimizer.h"

#include <Eigen/Dense>
#include <cmath>

namespace lastrow::train {

AdamW::AdamW(const ParameterLayout& layout, const AdamWOptions& options)
    : layout_(layout),
      options_(options),
      mean_(Eigen::ArrayXf::Zero(layout.size())),
      square_(Eigen::ArrayXf::Zero(layout.size())) {}

double AdamW::rate(int64_t step) const {
  const AdamWOptions& o = options_;
  if (step < o.warmup_steps)
    return o.rate * static_cast<double>(step + 1) / static_cast<double>(o.warmup_steps);
  const double done = static_cast<double>(step - o.warmup_steps) /
                      static_cast<double>(std::max<int64_t>(1, o.n_steps - o.warmup_steps));
  const double cosine = 0.5 + 0.5 * std::cos(3.141592653589793 * std::min(1.0, done));
  return o.rate * (o.last_rate + (1 - o.last_rate) * cosine);
}

void AdamW::step(float* params, const float* gradient) {
  using Array = Eigen::Map<Eigen::ArrayXf>;
  using ConstArray = Eigen::Map<const Eigen::ArrayXf>;
  const AdamWOptions& o = options_;
  const double norm = std::sqrt(ConstArray(gradient, layout_.size()).cast<double>().square().sum());
  const float clip = static_cast<float>(norm > o.max_norm ? o.max_norm / norm : 1.0);
  const double rate = this->rate(step_);
  ++step_;
  const float correct1 = static_cast<float>(1 / (1 - std::pow(o.beta1, static_cast<double>(step_))));
  const float correct2 = static_cast<float>(1 / (1 - std::pow(o.beta2, static_cast<double>(step_))));
  const float b1 = static_cast<float>(o.beta1), b2 = static_cast<float>(o.beta2);
  for (const ParameterTensor& t : layout_.tensors()) {
    Array p(params + t.offset, t.size());
    const ConstArray g(gradient + t.offset, t.size());
    auto m = mean_.segment(t.offset, t.size());
    auto s = square_.segment(t.offset, t.size());
    const float decay = static_cast<float>(t.is_vector ? 0.0 : rate * o.weight_decay);
    m = b1 * m + (1 - b1) * clip * g;
    s = b2 * s + (1 - b2) * (clip * g).square();
    p -= decay * p + static_cast<float>(rate) * (m * correct1) / ((s * correct2).sqrt() + 1e-8f);
  }
}

}  // namespace lastrow::train
