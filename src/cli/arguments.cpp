#include "cli/arguments.h"

#include <charconv>

namespace lastrow::cli {

void refuse_empty_values(CLI::App& subcommand) {
  for (CLI::Option* option : subcommand.get_options())
    if (option->get_items_expected_max() > 0)
      option->check([](const std::string& value) {
        return value.empty() ? "the value is empty: give one, or leave the option out" : std::string();
      });
}

std::string require_uint64(const std::string& text) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && parsed == end
             ? ""
             : "'" + text + "' is no whole number from 0 to 18446744073709551615";
}

}  // namespace lastrow::cli
