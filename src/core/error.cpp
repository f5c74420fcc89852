#include "core/error.h"

#include <cstdio>
#include <cstdlib>

namespace lastrow::detail {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::fprintf(stderr, "lastrow: broken invariant at %s:%d: %s (%s)\n", file, line, condition,
               message.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace lastrow::detail
