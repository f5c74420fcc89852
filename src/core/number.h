// Numbers as people and files write them: one rule for the options, scripts, prompts and models of all programs.
//
//   whole_number<int32_t>("010")       10: decimal, whatever zeros stand in front; never octal or hexadecimal
//   whole_number<int32_t>("0x10")      none; the same for "", "ten", "1e3", "+1", " 1", and for what does not fit
//   real_number("1e-46")               0, because a float holds nothing so small
//   read_options_in_decimal(app);      a CLI::App, after its options were added and before it parses
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace lastrow {

/// The number that the whole text spells in decimal digits, after a minus sign if the type has one.
template <typename Integer>
std::optional<Integer> whole_number(std::string_view text) {
  Integer number{};
  const char* const end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || parsed != end) return std::nullopt;
  return number;
}

/// The float nearest to what the whole text spells, as "0.125", "-2e-3"; none if that is not finite.
std::optional<float> real_number(std::string_view text);

/// "-010" → "-10"; other text as it is.
std::string without_leading_zeros(std::string text);
/// "" if the text is a whole number in decimal, of any length; else what is wrong with it.
std::string why_no_whole_number(const std::string& text);

/// CLI11 takes 010 for 8, as C does, and 0x10 for 16. Its name for the type of whole numbers is INT or UINT.
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
