#include "core/number.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace lastrow {
namespace {

constexpr std::string_view kDigits = "0123456789";

size_t sign_length(std::string_view text) { return text.starts_with('-') ? 1 : 0; }

}  // namespace

std::optional<float> real_number(std::string_view text) {
  const char* const end = text.data() + text.size();
  float number = 0;
  const auto [parsed, error] = std::from_chars(text.data(), end, number);
  if (parsed != end || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) {  // too large or too small; from_chars does not say which
    const double wide = std::strtod(std::string(text).c_str(), nullptr);
    if (!(std::abs(wide) < 1)) return std::nullopt;
    number = std::signbit(wide) ? -0.0f : 0.0f;
  }
  if (!std::isfinite(number)) return std::nullopt;
  return number;
}

std::string without_leading_zeros(std::string text) {
  const size_t sign = sign_length(text);
  if (why_no_whole_number(text).empty()) {
    const size_t zeros = std::min(text.find_first_not_of('0', sign), text.size() - 1) - sign;
    text.erase(sign, zeros);
  }
  return text;
}

std::string why_no_whole_number(const std::string& text) {
  const std::string_view digits = std::string_view(text).substr(sign_length(text));
  const bool whole = !digits.empty() && digits.find_first_not_of(kDigits) == digits.npos;
  return whole ? "" : "'" + text + "' is not a whole number in decimal digits";
}

}  // namespace lastrow
