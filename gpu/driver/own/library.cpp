#include "gpu/driver/own/library.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "gpu/driver/output.h"
#include "io/temporary_name.h"

namespace lastrow::driver {
namespace {

/// A temporary file in the system's folder for them.
class TemporaryFile {
 public:
  TemporaryFile() {
    if (folder_ < 0 || (fd_ = name_.create(0600)) < 0)
      throw FileError("cannot make a temporary file in {} ({}): check TMPDIR", parent_.string(),
                      std::strerror(errno));
  }
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  std::string path() const { return (parent_ / name_.c_str()).string(); }
  void write(const std::string& text) {
    if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      throw FileError("{} cannot be written ({}): check TMPDIR", path(), std::strerror(errno));
  }

 private:
  struct Folder {
    int fd;
    operator int() const { return fd; }
    ~Folder() {
      if (fd >= 0) ::close(fd);
    }
  };
  std::filesystem::path parent_ = std::filesystem::temp_directory_path();
  Folder folder_{::open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  TemporaryName name_{folder_};
  int fd_ = -1;
};

constexpr const char* kEntry = "lastrow_own_rung";

std::string wrapper_text(const OwnSource& source, const std::string& target) {
  return fmt::format(
      "#include \"{}\"\n"
      "extern \"C\" const lastrow::{}::Rung* {}() {{ return &lastrow::{}::{}; }}\n",
      source.path, target, kEntry, target, source.rung);
}

/// dlerror() without the path of the temporary file, and with the C++ name of a missing function.
std::string load_error(const std::string& library) {
  std::string text = dlerror();
  if (text.starts_with(library + ": ")) text.erase(0, library.size() + 2);
  const size_t begin = text.rfind("_Z");
  if (begin == std::string::npos) return text;
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(text.c_str() + begin, nullptr, nullptr, &status), std::free);
  return status == 0 ? text.substr(0, begin) + name.get() : text;
}

}  // namespace

void add_rung(const OwnSource& source, const std::string& target, OwnRung& own) {
  TemporaryFile wrapper, library;
  wrapper.write(wrapper_text(source, target));
  const std::string warning = compile(source, target, wrapper.path(), library.path());
  if (!warning.empty()) say(fmt::format("lastrow-kernels: note: {}\n", warning));
  void* const handle = dlopen(library.path().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr)
    throw UsageError("{}: was compiled, but cannot be loaded: {}", source.file, load_error(library.path()));
  void* const entry = dlsym(handle, kEntry);
  LASTROW_CHECK(entry != nullptr, "{} is missing", kEntry);
  if (target == "cuda")
    own.cuda = reinterpret_cast<const lastrow::cuda::Rung* (*)()>(entry)();
  else
    own.emulated = reinterpret_cast<const lastrow::emulated::Rung* (*)()>(entry)();
}

}  // namespace lastrow::driver
