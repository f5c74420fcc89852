#include "viewer/view_model/describe/value_scales.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace lastrow::view {

namespace {

/// The smallest exponent whose power of two is at least as large as 99 of 100 finite magnitudes.
int scale_exponent(std::vector<float>& magnitudes) {
  if (magnitudes.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>((magnitudes.size() - 1) * 99 / 100);
  std::nth_element(magnitudes.begin(), magnitudes.begin() + at, magnitudes.end());
  const float m = magnitudes[static_cast<size_t>(at)];
  return m > 0 ? std::clamp(static_cast<int>(std::ceil(std::log2(m))), -20, 40) : 0;
}

void gather(const std::vector<float>& from, std::vector<float>& magnitudes) {
  for (float x : from)
    if (std::isfinite(x)) magnitudes.push_back(std::fabs(x));
}

}  // namespace

std::vector<LayerScales> value_scales(const Setup& setup,
                                      const std::vector<std::shared_ptr<const StepData>>& steps) {
  std::vector<LayerScales> scales(static_cast<size_t>(setup.config().n_layers));
  for (size_t layer = 0; layer < scales.size(); ++layer) {
    std::array<std::vector<float>, 5> magnitudes;
    for (const auto& step : steps) {
      const LayerData& l = step->side(Mode::cached).layers[layer];
      gather(l.q, magnitudes[0]);
      gather(l.k, magnitudes[1]);
      gather(l.v, magnitudes[2]);
      gather(l.scores, magnitudes[3]);
      gather(l.out, magnitudes[4]);
    }
    scales[layer] = {scale_exponent(magnitudes[0]), scale_exponent(magnitudes[1]),
                     scale_exponent(magnitudes[2]), scale_exponent(magnitudes[3]),
                     scale_exponent(magnitudes[4])};
  }
  return scales;
}

}  // namespace lastrow::view
