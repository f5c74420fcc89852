// Loading cuBLAS: when it is loaded, and the message if it cannot be. Loading it needs no GPU.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "core/error.h"
#include "core/function_ref.h"
#include "gpu/backend/cublas.h"
#include "support/program.h"

namespace lastrow {
namespace {

std::string complaint_of(FunctionRef<void()> load) {
  try {
    load();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

/// The message of load_cublas() if LASTROW_CUBLAS names this file.
std::string complaint_about(const char* file) {
  setenv("LASTROW_CUBLAS", file, 1);
  const std::string said = complaint_of([] { cuda::load_cublas(); });
  unsetenv("LASTROW_CUBLAS");
  return said;
}

const std::string kWhatToDo =
    ": set LASTROW_CUBLAS to the path of a libcublas.so.13 or .12 (the CUDA toolkit and PyTorch have one), "
    "or use another backend";

/// Whether the program has loaded a library of this name.
bool is_loaded(const char* library) {
  void* const handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
  if (handle) dlclose(handle);
  return handle != nullptr;
}

bool any_cublas_is_loaded() {
  return is_loaded("libcublas.so.13") || is_loaded("libcublas.so.12") || is_loaded("libcublas.so");
}

}  // namespace

TEST_CASE("if there is no cuBLAS, one line says where it was looked for and what to do") {
  CHECK(complaint_of([] {
          cuda::load_cublas_from({"/nowhere", "/nonexistent"});
        }) == "cuBLAS, which linear layers need, was not found (in /nowhere, /nonexistent)" + kWhatToDo);
  CHECK(complaint_about("/nonexistent/libcublas.so.13") ==
        "cuBLAS, which linear layers need, cannot be loaded from LASTROW_CUBLAS: "
        "/nonexistent/libcublas.so.13: cannot open shared object file: No such file or directory" +
            kWhatToDo);
}

TEST_CASE("a file that is not a library, or another library, is refused with the reason") {
  const testing::Folder folder("cublas");
  std::ofstream(folder / "libcublas.so.12") << "not a library, though its name says so";
  const std::string said = complaint_of([&] { cuda::load_cublas_from({"/nowhere", folder.string()}); });
  CAPTURE(said);
  CHECK(said.starts_with("cuBLAS, which linear layers need, cannot be loaded: " + folder.string() +
                         "/libcublas.so.12: "));
  CHECK(said.ends_with(kWhatToDo));
  CHECK(complaint_about("libm.so.6") == "libm.so.6 has no function cublasCreate_v2" + kWhatToDo);
}

TEST_CASE("the program starts without cuBLAS, and has all functions once it is loaded") {
  CHECK_FALSE(any_cublas_is_loaded());
  cuda::Cublas cublas{};
  try {
    cublas = cuda::load_cublas();
  } catch (const Error& e) {
    MESSAGE("skipped: ", e.what());
    return;
  }
  CHECK(any_cublas_is_loaded());
  CHECK((cublas.create && cublas.destroy && cublas.set_stream && cublas.set_workspace && cublas.sgemm));
  CHECK(cublas.status_string(CUBLAS_STATUS_NOT_INITIALIZED)[0] != '\0');  // a call that needs no GPU
}

}  // namespace lastrow
