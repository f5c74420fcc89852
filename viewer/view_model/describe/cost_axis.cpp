#include "viewer/view_model/describe/cost_axis.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace lastrow::view {

namespace {

struct Prefix {
  double factor;
  const char* text;
};

constexpr std::array<Prefix, 6> kPlain{
    {{1, ""}, {1e3, " k"}, {1e6, " M"}, {1e9, " G"}, {1e12, " T"}, {1e15, " P"}}};
constexpr std::array<Prefix, 6> kBytes{
    {{1, " B"}, {0x1p10, " KiB"}, {0x1p20, " MiB"}, {0x1p30, " GiB"}, {0x1p40, " TiB"}, {0x1p50, " PiB"}}};
constexpr std::array<Prefix, 3> kTime{{{1, " µs"}, {1e3, " ms"}, {1e6, " s"}}};

template <size_t N>
const Prefix& largest(const std::array<Prefix, N>& prefixes, double value) {
  size_t i = 0;
  while (i + 1 < N && value >= prefixes[i + 1].factor * (1 - 1e-9)) ++i;
  return prefixes[i];
}

const Prefix& prefix_for(Unit unit, double value) {
  if (unit == Unit::bytes) return largest(kBytes, value);
  if (unit == Unit::microseconds) return largest(kTime, value);
  return largest(kPlain, value);
}

/// The least of 1, 2, 2.5, 5, 10 × a power of ten that is at least x.
double nice_at_least(double x) {
  const double power = std::pow(10.0, std::floor(std::log10(x)));
  for (const double digit : {1.0, 2.0, 2.5, 5.0})
    if (digit * power >= x * (1 - 1e-9)) return digit * power;
  return 10 * power;
}

}  // namespace

std::string tick_text(Unit unit, double value) {
  if (value == 0) return "0";
  const Prefix& prefix = prefix_for(unit, value);
  return fmt::format("{:.4g}{}", value / prefix.factor, prefix.text);
}

CostAxis CostAxis::of(Unit unit, CostScale scale, double least, double most) {
  CostAxis axis;
  axis.unit_ = unit;
  axis.scale_ = scale;
  if (!(most > 0) || !std::isfinite(most)) {
    axis.add_tick(0);
    return axis;
  }
  if (scale == CostScale::linear)
    axis.make_linear(most);
  else
    axis.make_log(least > 0 && least <= most ? least : most, most);
  return axis;
}

void CostAxis::add_tick(double value) { ticks_.push_back({height(value), tick_text(unit_, value)}); }

/// About four steps, each a nice number of the unit in which the largest value is spelt. The top is a little
/// above the largest value, so that the line does not touch it.
void CostAxis::make_linear(double most) {
  const double unit = prefix_for(unit_, most).factor;
  const double step = nice_at_least(most / unit / 4) * unit;
  low_ = 0;
  high_ = most * 1.04;
  for (int i = 0; i * step <= high_; ++i) add_tick(i * step);
}

/// Powers of ten, or of two for bytes, so many apart that there are at most six.
void CostAxis::make_log(double least, double most) {
  const double base = unit_ == Unit::bytes ? 2 : 10, one = std::log(base);
  const double first = std::floor(std::log(least) / one + 1e-9),
               last = std::ceil(std::log(most) / one - 1e-9);
  low_ = std::pow(base, first);
  high_ = std::pow(base, std::max(last, first + 1));
  int apart = 1;
  for (const int n : {1, 2, 5, 10, 20}) {
    apart = n;
    if ((last - first) / n <= 5) break;
  }
  if (unit_ != Unit::bytes && last - first <= 1.5) {  // within one power: 1, 2, 5, 10
    for (const double digit : {1.0, 2.0, 5.0, 10.0}) add_tick(digit * low_);
    return;
  }
  for (int i = 0; first + i <= std::max(last, first + 1); i += apart) add_tick(std::pow(base, first + i));
}

float CostAxis::height(double value) const {
  if (std::isnan(value)) return std::nanf("");
  if (scale_ == CostScale::linear) return static_cast<float>((value - low_) / (high_ - low_));
  if (!(value > 0)) return 0;
  return static_cast<float>(std::log(value / low_) / std::log(high_ / low_));
}

}  // namespace lastrow::view
