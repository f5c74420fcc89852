// Exponents that a lesson fits, and times that it measures.
//
//   fitted_exponent(n, flop)                            b of flop ≈ a · n^b
//   median_us(9, [&] { session.advance(); })            microseconds
//   median_us_in_turns(9, [&] { f(); }, [&] { g(); })   of two things, one after the other
//
// Compare times only as ratios within one run, taken in turns. Then a machine that is busy with something
// else slows both sides.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "core/error.h"

namespace lastrow::lessons {

/// Does this build run at the speed of the machine? With sanitizers or without optimisation it does not. The
/// ratio of two times of the same build is still meaningful.
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
inline constexpr bool kFastBuild = false;
#else
inline constexpr bool kFastBuild = true;
#endif

/// The slope of log y over log x by least squares. All x and y > 0, at least two different x.
inline double fitted_exponent(std::span<const double> x, std::span<const double> y) {
  LASTROW_CHECK(x.size() == y.size() && x.size() >= 2, "{} x, {} y", x.size(), y.size());
  const auto n = static_cast<double>(x.size());
  double sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double u = std::log(x[i]), v = std::log(y[i]);
    sum_x += u, sum_y += v, sum_xx += u * u, sum_xy += u * v;
  }
  return (n * sum_xy - sum_x * sum_y) / (n * sum_xx - sum_x * sum_x);
}

inline double median(std::vector<double> values) {
  LASTROW_CHECK(!values.empty(), "a median of nothing");
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <typename F>
double elapsed_us(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

/// The median of n calls, after one call that does not count.
template <typename F>
double median_us(int n, F&& f) {
  f();
  std::vector<double> times;
  for (int i = 0; i < n; ++i) times.push_back(elapsed_us(f));
  return median(std::move(times));
}

/// The medians of f and g, which are timed in turns.
template <typename F, typename G>
std::pair<double, double> median_us_in_turns(int n, F&& f, G&& g) {
  f(), g();
  std::vector<double> of_f, of_g;
  for (int i = 0; i < n; ++i) of_f.push_back(elapsed_us(f)), of_g.push_back(elapsed_us(g));
  return {median(std::move(of_f)), median(std::move(of_g))};
}

}  // namespace lastrow::lessons
