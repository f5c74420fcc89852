// A file that appears whole or not at all.
//
//   AtomicFile file(path);      creates PATH.tmp-PID-N beside it, so that an unwritable folder fails early
//   file.write(data, n_bytes);  as often as needed
//   file.commit();              to the disk, then renamed over PATH
//
// Without commit(), after an exception for instance, the destructor removes the temporary and whatever PATH
// held is untouched. Every failure is a FileError with the system's reason. Through a symbolic link the file
// it points to is replaced; a replaced file keeps its permissions. Devices and pipes (/dev/stdout) cannot be
// replaced: they are written directly. Never call write() after commit().
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace lastrow {

class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, int64_t n_bytes);
  void write(std::string_view text) { write(text.data(), static_cast<int64_t>(text.size())); }
  void commit();

 private:
  std::string path_;       // what is replaced in the end
  std::string temporary_;  // what is written; empty when path_ is written directly, or once renamed
  int fd_ = -1;
};

void write_text_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace lastrow
