#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "io/program_start.h"

namespace lastrow {
namespace {

/// As long as one exists, a write of this thread to a pipe without a reader gives EPIPE and no signal.
class WithoutPipeSignal {
 public:
  WithoutPipeSignal() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutPipeSignal() {
    const timespec at_once{};
    if (!was_pending_)
      while (::sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) continue;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutPipeSignal(const WithoutPipeSignal&) = delete;
  WithoutPipeSignal& operator=(const WithoutPipeSignal&) = delete;

 private:
  sigset_t pipe_{}, before_{};
  bool was_pending_ = false;
};

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path) : place_(output_place(path)) {
  if (place_.exists && ::faccessat(AT_FDCWD, place_.path.c_str(), W_OK, AT_EACCESS) != 0)
    throw FileError("{}: cannot be written ({}); allow it (chmod u+w), or write to another file", place_.path,
                    std::strerror(errno));
  if (place_.is_direct) return;
  folder_ = ::open(folder_of(place_.path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0) throw_cannot_write(place_.path, errno);
  try {
    create_temporary();
  } catch (...) {
    temporary_.reset();
    ::close(folder_);
    throw;
  }
}

void AtomicFile::create_temporary() {
  const std::string name = file_name(place_.path);
  struct stat status {};
  const bool is_free = ::fstatat(folder_, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0;
  if (name.empty() || (is_free && errno != ENOENT)) throw_cannot_write(place_.path, errno);
  temporary_.emplace(folder_);
  fd_ = temporary_->create(0666);
  if (fd_ < 0) throw_cannot_write(place_.path, errno);
  if (place_.exists) static_cast<void>(::fchmod(fd_, place_.status.st_mode & 07777));
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  temporary_.reset();
  old_.reset();
  if (folder_ >= 0) ::close(folder_);
}

void AtomicFile::open_direct() {
  const bool is_pipe = S_ISFIFO(place_.status.st_mode);
  if (is_pipe) {  // first without waiting, to find out whether there is a reader
    fd_ = ::open(place_.path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd_ >= 0) {
      ::fcntl(fd_, F_SETFL, 0);
      return;
    }
    if (errno != ENXIO) throw_cannot_write(place_.path, errno);
    say_note(fmt::format("waiting until something reads the pipe {}", place_.path));
  }
  do fd_ = ::open(place_.path.c_str(), O_WRONLY | O_CLOEXEC);
  while (fd_ < 0 && errno == EINTR);
  if (fd_ < 0) throw_cannot_write(place_.path, errno);
}

void AtomicFile::write(const void* data, int64_t n_bytes) {
  LASTROW_CHECK(!finished_, "{} is already finished", place_.path);
  if (fd_ < 0) open_direct();
  std::optional<WithoutPipeSignal> no_signal;
  if (place_.is_direct) no_signal.emplace();
  const auto* next = static_cast<const char*>(data);
  while (n_bytes > 0) {
    const ssize_t n = ::write(fd_, next, static_cast<size_t>(n_bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_cannot_write(place_.path, errno);
    next += n;
    n_bytes -= n;
  }
}

void AtomicFile::finish() {
  if (finished_) return;
  if (fd_ < 0) open_direct();  // even if nothing was written: the reader of a pipe waits for its end
  if (!place_.is_direct && ::fsync(fd_) != 0) throw_cannot_write(place_.path, errno);
  finished_ = true;
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0) throw_cannot_write(place_.path, errno);
}

std::filesystem::path AtomicFile::stand_in() const {
  if (place_.is_direct) return {};
  return std::filesystem::path(folder_of(place_.path)) / temporary_->c_str();
}

/// take_back() can undo this if keep_old is true.
void AtomicFile::replace(bool keep_old) {
  if (place_.is_direct) return;
  const std::string name = file_name(place_.path);
  if (keep_old) {
    old_.emplace(folder_);
    if (::linkat(folder_, name.c_str(), folder_, old_->c_str(), 0) != 0) old_.reset();
  }
  if (::renameat(folder_, temporary_->c_str(), folder_, name.c_str()) != 0)
    throw_cannot_write(place_.path, errno);
}

void AtomicFile::take_back() {
  if (place_.is_direct) return;
  const std::string name = file_name(place_.path);
  if (old_)
    ::renameat(folder_, old_->c_str(), folder_, name.c_str());
  else if (!place_.exists)
    ::unlinkat(folder_, name.c_str(), 0);
}

/// Makes sure that the new name is on the disk. Some file systems cannot do this; the content is safe anyway.
void AtomicFile::sync_folder() const {
  if (place_.is_direct) return;
  const int fd = ::openat(folder_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

void AtomicFile::commit() { commit_all({this}); }

void commit_all(std::span<AtomicFile* const> files) {
  for (AtomicFile* file : files) file->finish();
  size_t n_replaced = 0;
  try {
    for (; n_replaced < files.size(); ++n_replaced) files[n_replaced]->replace(files.size() > 1);
  } catch (...) {
    while (n_replaced > 0) files[--n_replaced]->take_back();
    throw;
  }
  for (AtomicFile* file : files) {
    file->old_.reset();
    file->sync_folder();
  }
}

void write_text_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace lastrow
