// lastrow-kernels --try on the device that runs nothing and checks every call: nvcc compiles the template, the
// program loads it, and its kernels are registered, launched and "timed" as on a GPU.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "support/program.h"

namespace lastrow::testing {
namespace {

/// A stand-in for nvcc that compiles for two architectures instead of that of a GPU here, and keeps what ptxas
/// says of the kernels where the device looks for it (ptxas_logs.h).
class Nvcc {
 public:
  explicit Nvcc(const Folder& folder) : script_(folder.file("nvcc")), log_(log_of(folder)) {
    write_text(script_,
               fmt::format("#!/bin/bash\n"
                           "all=(-gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90,code=sm_90)\n"
                           "for each in \"$@\"; do [[ $each == -arch=native ]] || all+=(\"$each\"); done\n"
                           "exec " LASTROW_NVCC " -Xptxas -v \"${{all[@]}}\" 2> {}\n",
                           log_));
    std::filesystem::permissions(script_, std::filesystem::perms::owner_all);
  }
  ~Nvcc() { std::filesystem::remove(log_); }
  Nvcc(const Nvcc&) = delete;
  Nvcc& operator=(const Nvcc&) = delete;
  const std::string& path() const { return script_; }

 private:
  static std::string log_of(const Folder& folder) {
    const std::string name = std::filesystem::path(folder.string()).filename().string();
    return fmt::format(LASTROW_PTXAS_LOGS "/{}.txt", name);
  }
  std::string script_, log_;
};

}  // namespace

TEST_CASE("a kernel of one's own is compiled with nvcc, loaded, checked and timed beside the ladder") {
  const Folder folder("own_kernel");
  const Nvcc nvcc(folder);
  const std::string program = LASTROW_BIN_DIR "/rehearsal/lastrow-kernels";
  const Outcome outcome =
      shell(folder, fmt::format("cd {0} && mkdir tmp && {1} --template > my.cu && NVCC={2} "
                                "TMPDIR={0}/tmp {1} --every 25 --try my.cu",
                                folder.string(), program, nvcc.path()));
  CAPTURE(outcome.err);
  CAPTURE(outcome.out);
  CHECK(outcome.exit_code == 0);
  const size_t on_device = outcome.out.find("\nOn ");
  REQUIRE(on_device != std::string::npos);
  const std::string device = outcome.out.substr(on_device);
  CHECK(has(device, " runs against naive-f64, 0 failed"));
  for (const char* shape : {"32:8×128 b1 kv4096 bf16 on ", "32:8×128 b1 q512 kv512 bf16 (prefill) on "})
    CHECK(has(device, shape));
  for (const char* rung : {"\nmy.cu  ", "\nk01  ", "\nk02  "}) CHECK(has(device, rung));
  CHECK(std::filesystem::is_empty(folder / "tmp"));
}

TEST_CASE("without nvcc the GPU is left out, and a note says so") {
  const Folder folder("own_kernel");
  const std::string program = LASTROW_BIN_DIR "/rehearsal/lastrow-kernels";
  const Outcome outcome =
      shell(folder,
            fmt::format("cd {} && {} --template > my.cu && NVCC=/nonexistent/nvcc {} --every 25 --try my.cu",
                        folder.string(), program, program));
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(has(outcome.err,
            "note: my.cu was not run on the GPU: the compiler /nonexistent/nvcc cannot be started"));
  CHECK(has(outcome.out, "Counted at f32"));
  CHECK_FALSE(has(outcome.out, "\nOn "));
}

}  // namespace lastrow::testing
