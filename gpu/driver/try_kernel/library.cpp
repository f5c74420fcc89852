#include "gpu/driver/try_kernel/library.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdlib>
#include <memory>

#include "gpu/driver/output.h"
#include "gpu/driver/try_kernel/temporary_file.h"

namespace lastrow::driver {
namespace {

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
