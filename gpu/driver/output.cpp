#include "gpu/driver/output.h"

#include <cstdio>

namespace lastrow::driver {

void say(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace lastrow::driver
