#include "cli/arguments.h"

#include "core/number.h"

namespace lastrow::cli {

void refuse_empty_values(CLI::App& subcommand) {
  for (CLI::Option* option : subcommand.get_options())
    if (option->get_items_expected_max() > 0)
      option->check([](const std::string& value) {
        return value.empty() ? "the value is empty: give a value, or leave the option out" : std::string();
      });
}

std::string require_uint64(const std::string& text) {
  return whole_number<uint64_t>(text) ? ""
                                      : "'" + text + "' is not a whole number from 0 to 18446744073709551615";
}

}  // namespace lastrow::cli
