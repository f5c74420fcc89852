// Numbers in text. All programs read the numbers in options, scripts, prompts and models by this one rule.
//
//   whole_number<int32_t>("010")     10: always decimal, never octal, whatever zeros are in front
//   whole_number<int32_t>("0x10")    empty; so are "", "ten", "1e3", "+1", " 1" and numbers that do not fit
//   real_number("1e-46")             0, because a float cannot hold a number that small
//   read_options_in_decimal(app);    for a CLI::App, after its options are added and before it parses
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace lastrow {

/// The number, if the whole text is decimal digits. A signed type also allows a minus sign in front.
template <typename Integer>
std::optional<Integer> whole_number(std::string_view text) {
  Integer number{};
  const char* const end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || parsed != end) return std::nullopt;
  return number;
}

/// The nearest float, if the whole text is a number such as "0.125" or "-2e-3".
/// Empty if that float is not finite.
std::optional<float> real_number(std::string_view text);

/// "-010" → "-10". Text that is not a whole number stays as it is.
std::string without_leading_zeros(std::string text);
/// "" if the text is a decimal whole number of any length. Otherwise the error message.
std::string why_no_whole_number(const std::string& text);

/// Without this, CLI11 reads 010 as 8, as C does, and 0x10 as 16.
/// CLI11 calls the type of whole numbers INT or UINT.
template <typename App>
void read_options_in_decimal(App& app) {
  for (auto* const option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (!type.starts_with("INT") && !type.starts_with("UINT")) continue;
    option->transform(without_leading_zeros);
    option->check(why_no_whole_number);
  }
}

}  // namespace lastrow
