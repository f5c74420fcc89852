#include "viewer/view_model/describe/value_scales.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace lastrow::view {

namespace {

constexpr float kClear = 0.8f;  // the colour of the 95th percentile, if larger values are much larger

float percentile(std::vector<float>& magnitudes, size_t percent) {
  const auto at = static_cast<std::ptrdiff_t>((magnitudes.size() - 1) * percent / 100);
  std::nth_element(magnitudes.begin(), magnitudes.begin() + at, magnitudes.end());
  return magnitudes[static_cast<size_t>(at)];
}

/// The largest magnitude gets the full colour, and the 95th percentile a clear one: `soft` is halved until
/// asinh lifts it there.
ValueScale scale_for(std::vector<float>& magnitudes) {
  if (magnitudes.empty()) return {};
  const float largest = percentile(magnitudes, 100), clear = percentile(magnitudes, 95);
  if (!(largest > 0)) return {};
  ValueScale scale{largest, largest * 4};
  while (scale.soft > largest * 1e-3f && scale.at(clear) < kClear) scale.soft /= 1.25f;
  return scale;
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
    scales[layer] = {scale_for(magnitudes[0]), scale_for(magnitudes[1]), scale_for(magnitudes[2]),
                     scale_for(magnitudes[3]), scale_for(magnitudes[4])};
  }
  return scales;
}

}  // namespace lastrow::view
