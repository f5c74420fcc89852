// A temporary file in the system's folder for them, under a name that other programs can open.
//
//   TemporaryFile file;          exists, and is empty
//   file.write(text);
//   run_program(file.path());    the other program may replace it
//
// The destructor removes it. So does a signal that ends the program (io/temporary_name.h).
#pragma once

#include <filesystem>
#include <string>

#include "io/temporary_name.h"

namespace lastrow::driver {

class TemporaryFile {
 public:
  /// Throws FileError.
  TemporaryFile();
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  std::string path() const { return (parent_ / name_.c_str()).string(); }
  /// Throws FileError.
  void write(const std::string& text);

 private:
  struct Folder {
    int fd;
    ~Folder();
  };
  std::filesystem::path parent_;
  Folder folder_;
  TemporaryName name_;
  int fd_;
};

}  // namespace lastrow::driver
