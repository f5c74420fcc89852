#include "viewer/view_model/describe/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace lastrow::view {

bool same_logits(const SideData& a, const SideData& b) {
  return a.logits.size() == b.logits.size() &&
         std::memcmp(a.logits.data(), b.logits.data(), a.logits.size() * sizeof(float)) == 0;
}

double largest_change(const float* a, const float* b, int n) {
  double largest = 0;
  for (int i = 0; i < n; ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) == 0 || a[i] == b[i]) continue;
    const double d = std::fabs(double{a[i]} - double{b[i]});
    largest = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(largest, d);
  }
  return largest;
}

int64_t row_distance_ulp(const float* a, const float* b, int n) {
  if (std::memcmp(a, b, sizeof(float) * static_cast<size_t>(n)) == 0) return 0;
  double largest = 0, distance = 0;
  for (int i = 0; i < n; ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) {
      if (a[i] == b[i]) continue;
      return -1;
    }
    largest = std::max({largest, std::fabs(double{a[i]}), std::fabs(double{b[i]})});
    distance = std::max(distance, std::fabs(double{a[i]} - double{b[i]}));
  }
  if (distance == 0) return 0;  // +0 against −0
  const auto at = static_cast<float>(largest);
  const double ulp = double{std::nextafter(at, std::numeric_limits<float>::infinity())} - double{at};
  if (!(ulp > 0) || distance / ulp > 9e15) return -1;
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(distance / ulp)));
}

}  // namespace lastrow::view
