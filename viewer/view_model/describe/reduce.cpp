#include "viewer/view_model/describe/reduce.h"

#include <algorithm>
#include <utility>

namespace lastrow::view {

WeightReducer::WeightReducer(int n_tokens) {
  out_.n_tokens = n_tokens;
  out_.bins = std::min(n_tokens, ReducedWeights::kMaxBins);
  const auto bins = static_cast<size_t>(out_.bins);
  out_.n_rows.assign(bins, 0);
  sums_.assign(bins * bins, 0.0);
}

void WeightReducer::add_row(int position, const float* weights) {
  const int row_bin = out_.bin_of(position);
  ++out_.n_rows[static_cast<size_t>(row_bin)];
  double* sums = sums_.data() + static_cast<size_t>(row_bin) * static_cast<size_t>(out_.bins);
  for (int bin = 0; bin <= row_bin; ++bin) {
    const int end = std::min(out_.first(bin + 1), position + 1);
    float sum = 0;  // of at most n_tokens / bins weights
    for (int s = out_.first(bin); s < end; ++s) sum += weights[s];
    sums[bin] += double{sum};
  }
}

ReducedWeights WeightReducer::take() {
  const auto bins = static_cast<size_t>(out_.bins);
  out_.weights.assign(bins * bins, 0.0f);
  for (size_t row = 0; row < bins; ++row)
    for (size_t column = 0; column < bins && out_.n_rows[row] > 0; ++column)
      out_.weights[row * bins + column] = static_cast<float>(sums_[row * bins + column] / out_.n_rows[row]);
  return std::move(out_);
}

}  // namespace lastrow::view
