#include "viewer/view_model/describe/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace lastrow::view {

namespace {

/// This many significant digits; with an exponent only for very small and very large numbers.
std::string significant(double x, int digits) {
  if (std::isnan(x)) return "NaN";
  if (std::isinf(x)) return x > 0 ? "∞" : "−∞";
  const double magnitude = std::fabs(x);
  std::string text;
  if (magnitude == 0) {
    return "0";
  } else if (magnitude < 1e-4 || magnitude >= 1e7) {
    text = fmt::format("{:.{}e}", magnitude, digits - 1);
  } else {
    // The exponent after rounding: 0.996 to two digits is 1.0.
    const std::string scientific = fmt::format("{:.{}e}", magnitude, digits - 1);
    const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
    text = fmt::format("{:.{}f}", magnitude, std::max(0, digits - 1 - exponent));
  }
  return x < 0 ? "−" + text : text;
}

}  // namespace

std::string number(double x) { return significant(x, 3); }
std::string rough(double x) { return significant(x, 2); }

std::string count(int64_t n) {
  const double x = static_cast<double>(n);
  if (std::llabs(n) >= 1'000'000'000) return significant(x / 1e9, 3) + " G";
  if (std::llabs(n) >= 1'000'000) return significant(x / 1e6, 3) + " M";
  const std::string digits = fmt::format("{}", std::llabs(n));
  std::string out = n < 0 ? "−" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string bytes(int64_t n) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double x = static_cast<double>(n);
  size_t unit = 0;
  while (x >= 1024 && unit + 1 < kUnits.size()) {
    x /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", n) : fmt::format("{} {}", significant(x, 3), kUnits[unit]);
}

std::string duration_us(double us) {
  if (us < 1000) return significant(us, 3) + " µs";
  if (us < 1e6) return significant(us / 1e3, 3) + " ms";
  return significant(us / 1e6, 3) + " s";
}

std::string ratio(double with, double without) {
  if (!(with > 0) || !(without > 0) || !std::isfinite(without)) return "—";
  const double r = without / with;
  return std::fabs(r - std::round(r)) < 0.005 ? fmt::format("{:.0f}×", r)
                                              : significant(r, r < 10 ? 2 : 3) + "×";
}

std::string plural(int64_t n, std::string_view noun) {
  if (n == 1) return fmt::format("1 {}", noun);
  if (noun.ends_with("ry")) return fmt::format("{} {}ies", count(n), noun.substr(0, noun.size() - 1));
  return fmt::format("{} {}s", count(n), noun);
}

std::string range(int64_t first, int64_t last) {
  return first == last ? fmt::format("{}", first) : fmt::format("{}–{}", first, last);
}

std::string ranges(std::vector<int> numbers) {
  std::ranges::sort(numbers);
  std::string out;
  for (size_t i = 0; i < numbers.size();) {
    size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    out += (out.empty() ? "" : ", ") + range(numbers[i], numbers[end - 1]);
    i = end;
  }
  return out;
}

std::string label(std::string_view token_text) {
  const auto first = token_text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return token_text.empty() ? "∅" : "␣";
  const auto last = token_text.find_last_not_of(" \t\n");
  std::string out;
  for (char c : token_text.substr(first, last - first + 1)) out += (c == '\n' || c == '\t') ? ' ' : c;
  return out;
}

std::string in_quotes(std::string_view text) { return fmt::format("“{}”", text); }

}  // namespace lastrow::view
