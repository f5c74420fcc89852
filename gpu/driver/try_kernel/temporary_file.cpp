#include "gpu/driver/try_kernel/temporary_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace lastrow::driver {

TemporaryFile::Folder::~Folder() {
  if (fd >= 0) ::close(fd);
}

TemporaryFile::TemporaryFile()
    : parent_(std::filesystem::temp_directory_path()),
      folder_{::open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)},
      name_(folder_.fd),
      fd_(name_.create(0600)) {
  if (fd_ < 0)
    throw FileError("cannot make a temporary file in {} ({}): check TMPDIR", parent_.string(),
                    std::strerror(errno));
}

TemporaryFile::~TemporaryFile() {
  if (fd_ >= 0) ::close(fd_);
}

void TemporaryFile::write(const std::string& text) {
  errno = ENOSPC;  // the error to report if only a part is written
  if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw FileError("{} cannot be written ({}): check TMPDIR", path(), std::strerror(errno));
}

}  // namespace lastrow::driver
