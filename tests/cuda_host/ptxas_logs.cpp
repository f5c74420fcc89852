#include "cuda_host/ptxas_logs.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

#include "core/error.h"

namespace lastrow::checked_cuda {
namespace {

/// Where the parameters of a kernel begin in constant memory on sm_80. Only for sm_80 does ptxas say where
/// they end.
constexpr int64_t kParametersBegin = 352;

/// Reads the line of one kernel: "Used 30 registers, used 1 barriers, 1056 bytes smem, 504 bytes cmem[0]".
void add(CompiledKernel& kernel, const std::string& used, bool sm_90) {
  const auto number_before = [&](const char* unit, int64_t otherwise) {
    std::smatch m;
    return std::regex_search(used, m, std::regex("([0-9]+) " + std::string(unit))) ? std::stoll(m[1])
                                                                                   : otherwise;
  };
  if (sm_90) {
    kernel.registers = number_before("registers", 0);
    kernel.static_shared = number_before("bytes smem", 0);
  } else {
    kernel.parameter_bytes =
        static_cast<size_t>(number_before("bytes cmem\\[0\\]", kParametersBegin) - kParametersBegin);
  }
}

std::map<std::string, CompiledKernel> read_logs() {
  const std::regex entry("Compiling entry function '([^']*)' for 'sm_([0-9]+)'");
  std::map<std::string, CompiledKernel> kernels;
  for (const auto& log : std::filesystem::directory_iterator(LASTROW_PTXAS_LOGS)) {
    std::ifstream in(log.path());
    std::string name, architecture;
    for (std::string line; std::getline(in, line);)
      if (std::smatch m; std::regex_search(line, m, entry))
        name = m[1], architecture = m[2];
      else if (line.find(" registers, ") != std::string::npos &&
               (architecture == "80" || architecture == "90"))
        add(kernels[name], line, architecture == "90");
  }
  return kernels;
}

}  // namespace

CompiledKernel compiled_kernel(const std::string& name) {
  static std::map<std::string, CompiledKernel> kernels = read_logs();
  auto found = kernels.find(name);
  if (found == kernels.end()) {  // a kernel that was compiled while this program runs
    kernels = read_logs();
    found = kernels.find(name);
  }
  LASTROW_CHECK(found != kernels.end(), "no log in {} knows {}: build lastrow_cuda again", LASTROW_PTXAS_LOGS,
                name);
  return found->second;
}

}  // namespace lastrow::checked_cuda
