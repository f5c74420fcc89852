#include "io/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace lastrow {

InputFile::InputFile(const std::filesystem::path& path) : name_(path.string()) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not hang.
  fd_ = ::open(name_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) throw FileError("{}: cannot be opened ({}); check the path", name_, std::strerror(errno));
  struct stat status {};
  const bool known = ::fstat(fd_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(fd_);  // the destructor does not run when a constructor throws
    throw FileError("{}: {}; give the path of a file", name_,
                    known && S_ISDIR(status.st_mode) ? "is a folder" : "is not a regular file");
  }
  size_bytes_ = status.st_size;
}

InputFile::~InputFile() { ::close(fd_); }

void InputFile::read(void* to, int64_t n_bytes) {
  auto* next = static_cast<char*>(to);
  while (n_bytes > 0) {
    const ssize_t n = ::read(fd_, next, static_cast<size_t>(n_bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw FileError("{}: cannot be read ({}); check the disk", name_, std::strerror(errno));
    if (n == 0)
      throw FileError("{}: ends {} bytes too early; it was cut short: fetch it again", name_, n_bytes);
    next += n;
    n_bytes -= n;
  }
}

std::string read_text(const std::filesystem::path& path, int64_t max_bytes) {
  InputFile file(path);
  if (file.size_bytes() > max_bytes)
    throw FileError("{}: has {} bytes, but a text may have at most {}; is this the right file?", file.name(),
                    file.size_bytes(), max_bytes);
  std::string text(static_cast<size_t>(file.size_bytes()), '\0');
  file.read(text.data(), file.size_bytes());
  return text;
}

}  // namespace lastrow
