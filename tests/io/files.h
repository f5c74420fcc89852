// Helpers for the tests of this folder: a temporary folder, the bytes of a handmade safetensors file, and the
// message of a failure.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/tensor.h"

namespace lastrow::test {

/// An empty folder. It is removed with its content at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "lastrow-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw FileError("{}: no temporary folder", name);
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  int64_t n_entries() const {
    return std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator());
  }

 private:
  std::filesystem::path path_;
};

inline void put(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string get(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// A safetensors file, valid or not: header length, header, data.
inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i) & 0xFFu);
  return file.append(header).append(data);
}

/// The message of the E that f throws, or "" if it throws nothing. Does not catch other exceptions.
template <typename E = FileError, typename F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

/// Sums all bytes of a view, so that a sanitizer checks every one of them.
inline uint64_t sum_of_bytes(ConstTensorView view) {
  uint64_t sum = 0;
  const auto* bytes = static_cast<const unsigned char*>(view.raw());
  for (int64_t i = 0; i < view.size_bytes(); ++i) sum += bytes[i];
  return sum;
}

}  // namespace lastrow::test

/// Checks that the expression throws a one-line FileError that contains all of the texts.
#define CHECK_FILE_ERROR(expression, ...)                                                                \
  do {                                                                                                   \
    const std::string message = ::lastrow::test::message_of([&] { static_cast<void>(expression); });     \
    CHECK_MESSAGE(!message.empty(), "no FileError from " #expression);                                   \
    CHECK_MESSAGE(message.find('\n') == std::string::npos, message);                                     \
    CHECK_MESSAGE(message.size() < 400, message.size() << " bytes of message");                          \
    for (const std::string& part : std::initializer_list<std::string>{__VA_ARGS__})                      \
      CHECK_MESSAGE(message.find(part) != std::string::npos, "'" << part << "' is not in: " << message); \
  } while (false)
