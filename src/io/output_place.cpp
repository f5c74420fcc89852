#include "io/output_place.h"

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace lastrow {
namespace {

constexpr int kMostLinks = 40;  // the kernel follows as many

const char* advice_for(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "make room, or write to another disk";
    case ENOENT:
    case ENOTDIR:
      return "create the folder first";
    case ELOOP:
      return "its symbolic links lead in a circle: remove one, or write to another file";
    case ENAMETOOLONG:
      return "give a shorter name";
    case EPIPE:
      return "the program that read it has ended: start it again";
    case EMFILE:
    case ENFILE:
      return "write fewer files at once, or raise the limit (ulimit -n)";
    default:
      return "write to another folder";
  }
}

/// The path at the end of a chain of symbolic links. Also works if that file does not exist.
std::string follow_links(const std::filesystem::path& path) {
  std::filesystem::path at = path;
  for (int i = 0; i < kMostLinks; ++i) {
    std::error_code no_link;
    const auto target = std::filesystem::read_symlink(at, no_link);
    if (no_link) return at.string();
    at = at.parent_path() / target;  // operator/ gives an absolute target as it is
  }
  throw_cannot_write(path.string(), ELOOP);
}

std::optional<FileIdentity> identity_of(const struct stat& status) {
  if (S_ISCHR(status.st_mode)) return std::nullopt;
  return FileIdentity{status.st_dev, status.st_ino, ""};
}

}  // namespace

void throw_cannot_write(const std::string& path, int error) {
  throw FileError("{}: cannot be written ({}); {}", path, std::strerror(error), advice_for(error));
}

OutputPlace output_place(const std::filesystem::path& path) {
  OutputPlace place{.path = path.string()};
  place.exists = ::stat(place.path.c_str(), &place.status) == 0;
  if (!place.exists && errno != ENOENT) throw_cannot_write(place.path, errno);
  if (place.exists && S_ISDIR(place.status.st_mode))
    throw FileError("{}: is a folder; give the name of a file in it", place.path);
  if (place.exists && S_ISSOCK(place.status.st_mode))
    throw FileError("{}: is a socket; give the name of a file or a pipe", place.path);
  place.is_direct = place.exists && !S_ISREG(place.status.st_mode);
  if (!place.is_direct) place.path = follow_links(path);
  return place;
}

std::optional<FileIdentity> identity_of(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return identity_of(status);
  if (errno != ENOENT) return std::nullopt;
  const std::filesystem::path target = follow_links(path);
  std::filesystem::path folder = std::filesystem::absolute(target).parent_path(), name = target.filename();
  while (::stat(folder.c_str(), &status) != 0) {  // this folder does not exist yet either
    if (!folder.has_relative_path()) return std::nullopt;
    name = folder.filename() / name;
    folder = folder.parent_path();
  }
  return FileIdentity{status.st_dev, status.st_ino, name.string()};
}

std::optional<FileIdentity> identity_of_descriptor(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0 || S_ISDIR(status.st_mode)) return std::nullopt;
  return identity_of(status);
}

}  // namespace lastrow
