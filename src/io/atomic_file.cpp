#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace lastrow {
namespace {

[[noreturn]] void fail(const std::string& path, int error) {
  const char* advice = "write to another folder";
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) advice = "make room, or write to another disk";
  if (error == ENOENT || error == ENOTDIR) advice = "create the folder first";
  throw FileError("{}: cannot be written ({}); {}", path, std::strerror(error), advice);
}

/// A new file of a name nobody has; permissions follow the umask, or `mode` of the file to be replaced.
int create_beside(const std::string& path, const struct stat* replaced, std::string& temporary) {
  static std::atomic<int> counter{0};
  while (true) {
    temporary = fmt::format("{}.tmp-{}-{}", path, ::getpid(), counter++);
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 && replaced != nullptr) static_cast<void>(::fchmod(fd, replaced->st_mode & 07777));
    if (fd >= 0 || errno != EEXIST) return fd;
  }
}

/// Makes the rename itself durable. Some file systems cannot; the content is whole either way.
void sync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path.string()) {
  struct stat status {};
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode))
    throw FileError("{}: is a folder; give the name of a file in it", path_);
  if (exists && !S_ISREG(status.st_mode)) {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    std::error_code ignored;  // a name that cannot be resolved fails below, with the reason
    if (std::filesystem::is_symlink(path_, ignored)) {
      const auto real = std::filesystem::canonical(path_, ignored);
      if (!ignored) path_ = real.string();
    }
    fd_ = create_beside(path_, exists ? &status : nullptr, temporary_);
  }
  if (fd_ < 0) fail(path_, errno);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, int64_t n_bytes) {
  LASTROW_CHECK(fd_ >= 0, "{} is already committed", path_);
  const auto* next = static_cast<const char*>(data);
  while (n_bytes > 0) {
    const ssize_t n = ::write(fd_, next, static_cast<size_t>(n_bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_, errno);
    next += n;
    n_bytes -= n;
  }
}

void AtomicFile::commit() {
  LASTROW_CHECK(fd_ >= 0, "{} is already committed", path_);
  const bool direct = temporary_.empty();
  if (!direct && ::fsync(fd_) != 0) fail(path_, errno);
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail(path_, errno);
  if (direct) return;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, errno);
  temporary_.clear();
  sync_folder_of(path_);
}

void write_text_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace lastrow
