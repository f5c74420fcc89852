#include "io/standard_output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/error.h"

namespace lastrow {
namespace {

/// The caller sets errno to 0 before it writes. So errno now holds the reason of a failure, or 0.
void require_written() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  const int error = errno;
  throw FileError("standard output cannot be written{}; send it elsewhere",
                  error == 0 ? "" : fmt::format(" ({})", std::strerror(error)));
}

}  // namespace

void print(std::string_view text) {
  errno = 0;
  std::fwrite(text.data(), 1, text.size(), stdout);
  require_written();
}

void flush_standard_output() {
  errno = 0;
  require_written();
}

}  // namespace lastrow
