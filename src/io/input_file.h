// A regular file that is open for reading. Every failure is a FileError that starts with the file's name.
//
//   InputFile file(path);          throws if the file is missing, unreadable or not a regular file
//   file.size_bytes()              the size when the file was opened
//   file.read(buffer, n_bytes);    reads exactly the next n_bytes, or throws
//
// Pipes and devices are refused, because a loader must know the size of a file to check what the file claims.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace lastrow {

class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& name() const { return name_; }
  int64_t size_bytes() const { return size_bytes_; }
  void read(void* to, int64_t n_bytes);

 private:
  std::string name_;
  int fd_ = -1;
  int64_t size_bytes_ = 0;
};

/// The whole file as text. Also throws FileError if the file is longer than max_bytes.
std::string read_text(const std::filesystem::path& path, int64_t max_bytes);

}  // namespace lastrow
