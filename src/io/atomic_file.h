// A file that appears whole or not at all.
//
//   AtomicFile file(path);        checks that PATH can be written, and creates a temporary file beside it
//   file.write(data, n_bytes);    as often as needed
//   file.finish();                everything is on the disk; only the renaming is left
//   file.commit();                calls finish(), then renames the temporary file to PATH
//   commit_all({&a, &b});         the same for several files: all of them appear, or none
//
// A program with several outputs writes and finishes all files, then prints, then commits. So a failure at
// any point, also of standard output, leaves existing files unchanged. To check a path before the work
// starts, create AtomicFile{path} and destroy it at once.
//
// Without commit(), for instance after an exception, the destructor removes the temporary file, and the file
// at PATH stays unchanged. A signal that ends the program does the same, if the program called start_program
// (program_start.h). Every failure is a FileError with the system's reason.
//
// If PATH is a symbolic link, the file that the link points to is made or replaced, never the link. A
// replaced file keeps its permissions. A write-protected file is refused.
//
// A pipe or a device (/dev/null) cannot be replaced. It is written directly, and what was written cannot be
// taken back. The first write() opens it and finish() closes it, so the reader of one pipe sees its end
// before the next pipe is opened. Opening a pipe waits for a reader, and a note on standard error says so.
//
// * Never call write() after finish() or commit().
// * A signal during commit_all() may leave some files new and some old. Each file is complete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "io/output_place.h"
#include "io/temporary_name.h"

namespace lastrow {

class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, int64_t n_bytes);
  void write(std::string_view text) { write(text.data(), static_cast<int64_t>(text.size())); }
  void finish();
  void commit();

  /// For output that another program writes: let that program replace this file, and do not call write().
  /// commit() then takes what it wrote. "" for a pipe or device, which the other program must write directly.
  std::filesystem::path stand_in() const;

 private:
  friend void commit_all(std::span<AtomicFile* const> files);
  void create_temporary();
  void open_direct();
  void replace(bool keep_old);
  void take_back();
  void sync_folder() const;

  OutputPlace place_;
  int folder_ = -1;                         // descriptor of the file's folder; −1 if written directly
  std::optional<TemporaryName> temporary_;  // the file that is written, in folder_
  std::optional<TemporaryName> old_;        // the file that replace() replaced, in folder_
  int fd_ = -1;
  bool finished_ = false;
};

/// Throws FileError if one file cannot be renamed, and restores those that were already renamed. Restoring
/// needs hard links, which nearly all file systems have.
void commit_all(std::span<AtomicFile* const> files);
inline void commit_all(std::initializer_list<AtomicFile*> files) {
  commit_all(std::span(files.begin(), files.size()));
}

void write_text_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace lastrow
