// Three kinds of failure. They differ in who can repair them.
//
//   our mistake             LASTROW_CHECK(condition, "n = {}", n)      prints both and aborts, in release too
//   the caller's mistake    throw ShapeError("kv_len {} > max_seq_len {}: use a shorter prompt", a, b)
//   the device's failure    CudaError (gpu/)
//
// A message says what was wrong, with the values, and what to do next.
// Programs print it as one line and exit with status 2.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace lastrow {

/// The caller's mistake. The message is one line for a person to read.
class Error : public std::runtime_error {
 public:
  template <typename... Args>
  explicit Error(fmt::format_string<Args...> format, Args&&... args)
      : std::runtime_error(fmt::format(format, std::forward<Args>(args)...)) {}
};

/// Sizes that do not fit together.
struct ShapeError : Error {
  using Error::Error;
};
/// Something is full: context, cache, memory.
struct CapacityError : Error {
  using Error::Error;
};
/// A file that is missing, damaged, hostile, or cannot be written.
struct FileError : Error {
  using Error::Error;
};
/// A name, option or text that the program does not know.
struct UsageError : Error {
  using Error::Error;
};

namespace detail {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);
}

}  // namespace lastrow

/// States an invariant of lastrow. If it does not hold, prints the condition and the message, and aborts.
#define LASTROW_CHECK(condition, ...)                                                              \
  do {                                                                                             \
    if (!(condition)) [[unlikely]]                                                                 \
      ::lastrow::detail::check_failed(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
  } while (false)
