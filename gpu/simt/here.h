// A line of kernel text, which a default argument records. Findings and reports of the emulator point to it.
#pragma once

#include <string>
#include <string_view>

namespace lastrow::simt {

struct Here {
  const char* file;
  int line;

  static constexpr Here current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
  /// "k05_vector_loads.cu": the file without its folders.
  constexpr std::string_view name() const {
    const std::string_view path = file;
    return path.substr(path.find_last_of('/') + 1);
  }
  /// "k05_vector_loads.cu:64".
  std::string to_string() const { return std::string(name()) + ":" + std::to_string(line); }
  constexpr bool operator==(const Here& other) const { return line == other.line && name() == other.name(); }
};

}  // namespace lastrow::simt
