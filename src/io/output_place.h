// Where an output really goes: the file at the end of the symbolic links, and its identity.
//
//   const OutputPlace place = output_place("link.json");    throws FileError for a folder, a loop of links, …
//   place.path                                              the file itself, which may not exist yet
//   identity_of(path)                                       equal for two paths of the same file
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace lastrow {

struct OutputPlace {
  std::string path;        // after following the links; for a pipe or device, the path as given
  bool exists = false;     // if true, `status` is that of the file
  bool is_direct = false;  // a pipe or device: written directly, because it cannot be replaced
  struct stat status {};
};

OutputPlace output_place(const std::filesystem::path& path);

/// Throws FileError that says that `path` cannot be written, why (`error` is an errno), and what to do.
[[noreturn]] void throw_cannot_write(const std::string& path, int error);

/// The device and number of a file. For a file that does not exist yet: those of the nearest folder that
/// exists, and the rest of the path.
struct FileIdentity {
  dev_t device;
  ino_t number;
  std::string rest;  // "" for a file that exists
  bool operator==(const FileIdentity&) const = default;
};
/// Empty for a character device such as /dev/null, which holds nothing,
/// and if the system gives no information.
std::optional<FileIdentity> identity_of(const std::filesystem::path& path);
/// The same for an open file, such as standard output.
std::optional<FileIdentity> identity_of_descriptor(int fd);

}  // namespace lastrow
