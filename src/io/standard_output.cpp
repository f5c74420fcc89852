#include "io/standard_output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/error.h"

namespace lastrow {
namespace {

/// errno is 0, or the reason of a failure since the caller set it to 0.
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
