#include "gpu/driver/output.h"

#include <algorithm>
#include <cstdio>

namespace lastrow::driver {

void say(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

size_t width_of(const std::vector<std::string>& names) {
  size_t width = 0;
  for (const std::string& name : names) {
    const auto begins_character = [](char byte) { return (byte & 0xC0) != 0x80; };  // UTF-8
    width = std::max(width, static_cast<size_t>(std::count_if(name.begin(), name.end(), begins_character)));
  }
  return width;
}

}  // namespace lastrow::driver
