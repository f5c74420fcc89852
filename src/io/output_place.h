// Where an output really goes: what a path leads to through symbolic links, and which file that is.
//
//   const OutputPlace place = output_place("link.json");    throws FileError for a folder, a loop of links, …
//   place.path        the file itself, which may not exist yet
//   identity_of(path) what two paths to one file have in common
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace lastrow {

struct OutputPlace {
  std::string path;        // with the links followed; of a pipe or device as it was given
  bool exists = false;     // then status is that of the file
  bool is_direct = false;  // a pipe or device: written directly, because it cannot be replaced
  struct stat status {};
};

OutputPlace output_place(const std::filesystem::path& path);

/// Throws FileError: path cannot be written, because of `error` (an errno), and what to do.
[[noreturn]] void throw_cannot_write(const std::string& path, int error);

/// The device and number of a file. A file that does not exist yet has those of the nearest
/// folder that does, and the rest of its path.
struct FileIdentity {
  dev_t device;
  ino_t number;
  std::string rest;  // "" for a file that exists
  bool operator==(const FileIdentity&) const = default;
};
/// None for a character device such as /dev/null, which holds nothing, and where nothing can be found out.
std::optional<FileIdentity> identity_of(const std::filesystem::path& path);
/// Of an open file, such as standard output.
std::optional<FileIdentity> identity_of_descriptor(int fd);

}  // namespace lastrow
