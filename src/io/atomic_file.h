// A file that appears whole or not at all.
//
//   AtomicFile file(path);      checks that PATH can be written, and creates a temporary file beside it
//   file.write(data, n_bytes);  as often as needed
//   file.finish();              all is written, and on the disk; only the renaming is left
//   file.commit();              finish(), then renamed over PATH
//   commit_all({&a, &b});       the same for several: all of them, or none
//
// A program with several outputs, standard output among them, writes and finishes all files, prints, and then
// commits: then any failure leaves what there was. AtomicFile{path} alone, before the work, refuses a place
// that cannot be written.
//
// Without commit(), after an exception for instance, the destructor removes the temporary file, and what PATH
// held is untouched. So does a signal that ends the program, if it called start_program (program_start.h).
// Every failure is a FileError with the system's reason. Through symbolic links the file that they lead to is
// made or replaced, never a link. A replaced file keeps its permissions; one that may not be written is refused.
//
// A pipe or a device (/dev/null) cannot be replaced, so it is written directly, and what it was given cannot
// be taken back. It is opened at the first write(), and closed by finish(): a reader sees the end of one pipe
// before the next is opened. Opening a pipe waits for a reader, and a note on standard error says so.
//
// * Never call write() after finish() or commit().
// * A signal during commit_all() may leave some files new and some old; each of them is whole.
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

  /// A file that another program may replace, instead of calls of write(): commit() takes what is there.
  /// "" for a pipe or device, which the other program must write itself.
  std::filesystem::path stand_in() const;

 private:
  friend void commit_all(std::span<AtomicFile* const> files);
  void create_temporary();
  void open_direct();
  void replace(bool keep_old);
  void take_back();
  void sync_folder() const;

  OutputPlace place_;
  int folder_ = -1;                         // of a regular file; −1 if written directly
  std::optional<TemporaryName> temporary_;  // what is written, in folder_
  std::optional<TemporaryName> old_;        // what PATH held before replace(), in folder_
  int fd_ = -1;
  bool finished_ = false;
};

/// Throws FileError if one cannot be renamed. Those that were already renamed are then put back; that needs hard
/// links, which nearly all file systems have.
void commit_all(std::span<AtomicFile* const> files);
inline void commit_all(std::initializer_list<AtomicFile*> files) {
  commit_all(std::span(files.begin(), files.size()));
}

void write_text_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace lastrow
