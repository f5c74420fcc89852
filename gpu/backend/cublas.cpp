#include "gpu/backend/cublas.h"

#include <dlfcn.h>

#include <cstdlib>

#include "core/error.h"

namespace lastrow::cuda {
namespace {

constexpr const char* kWhatToDo =
    "set LASTROW_CUBLAS to the path of a libcublas.so.13 or .12 (the CUDA toolkit and PyTorch have one), "
    "or use another backend";

struct Library {
  void* handle = nullptr;
  std::string name;
};

/// Returns a null handle if the library cannot be loaded. Then `why` is the system's message, which names the
/// file.
Library open(const std::string& name, std::string& why) {
  void* const handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) why = dlerror();
  return {handle, name};
}

template <typename Function>
void take(const Library& library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library.handle, name));
  if (!function) throw Error("{} has no function {}: {}", library.name, name, kWhatToDo);
}

/// Uses the names in the library itself, because the names in cublas_v2.h are macros.
Cublas load_functions(const Library& library) {
  Cublas cublas{};
  take(library, "cublasCreate_v2", cublas.create);
  take(library, "cublasDestroy_v2", cublas.destroy);
  take(library, "cublasSetStream_v2", cublas.set_stream);
  take(library, "cublasSetWorkspace_v2", cublas.set_workspace);
  take(library, "cublasSgemm_v2", cublas.sgemm);
  take(library, "cublasGetStatusString", cublas.status_string);
  return cublas;
}

}  // namespace

Cublas load_cublas_from(const std::vector<std::string>& folders) {
  std::string why, damaged, looked_in;  // damaged: why a file that exists could not be loaded
  for (const std::string& folder : folders) {
    looked_in += (looked_in.empty() ? "" : ", ") + (folder.empty() ? "the system's library folders" : folder);
    for (const char* const file : {"libcublas.so.13", "libcublas.so.12", "libcublas.so"}) {
      const Library library = open(folder.empty() ? file : folder + "/" + file, why);
      if (library.handle) return load_functions(library);
      const bool absent = why.starts_with(library.name + ": cannot open shared object file");
      if (!absent && damaged.empty()) damaged = why;
    }
  }
  if (!damaged.empty())
    throw Error("cuBLAS, which linear layers need, cannot be loaded: {}: {}", damaged, kWhatToDo);
  throw Error("cuBLAS, which linear layers need, was not found (in {}): {}", looked_in, kWhatToDo);
}

Cublas load_cublas() {
  const char* const named = std::getenv("LASTROW_CUBLAS");
  if (!named || !*named) return load_cublas_from({"", LASTROW_CUBLAS_FOLDER, "/usr/local/cuda/lib64"});
  std::string why;
  const Library library = open(named, why);
  if (!library.handle)
    throw Error("cuBLAS, which linear layers need, cannot be loaded from LASTROW_CUBLAS: {}: {}", why,
                kWhatToDo);
  return load_functions(library);
}

}  // namespace lastrow::cuda
