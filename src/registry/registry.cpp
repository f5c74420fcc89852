#include "registry/registry.h"

#include <iterator>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "core/error.h"
#include "gpu/emulated_backend.h"
#include "gpu/simt/traffic.h"
#if LASTROW_WITH_CUDA
#include "gpu/cuda_backend.h"
#elif !defined(LASTROW_WHY_NO_CUDA)
#define LASTROW_WHY_NO_CUDA "no CUDA toolkit was found"
#endif

namespace lastrow {
namespace {

struct Known {
  const char* name;
  const char* description;
  bool has_kernels;          // whether there is a ladder to choose from
  bool is_emulated;          // whether kernels run on the CPU
  std::string (*why_not)();  // empty if it is usable
  std::unique_ptr<Backend> (*make)(const gpu::DeviceOptions& options, int32_t n_threads);
};

std::string usable() { return ""; }

constexpr Known kKnown[] = {
    {EigenBackend::kName, EigenBackend::kDescription, false, false, usable,
     [](const gpu::DeviceOptions&, int32_t n_threads) -> std::unique_ptr<Backend> {
       return std::make_unique<EigenBackend>(n_threads);
     }},
    {NaiveBackend<float>::kName, NaiveBackend<float>::kDescription, false, false, usable,
     [](const gpu::DeviceOptions&, int32_t) -> std::unique_ptr<Backend> {
       return std::make_unique<NaiveBackend<float>>();
     }},
    {NaiveBackend<double>::kName, NaiveBackend<double>::kDescription, false, false, usable,
     [](const gpu::DeviceOptions&, int32_t) -> std::unique_ptr<Backend> {
       return std::make_unique<NaiveBackend<double>>();
     }},
#if LASTROW_WITH_CUDA
    {"cuda", "kernels on an NVIDIA GPU", true, false, why_no_cuda,
     [](const gpu::DeviceOptions& options, int32_t) { return make_cuda_backend(options); }},
#else
    {"cuda", "kernels on an NVIDIA GPU", true, false,
     []() -> std::string { return "it was not built, because " LASTROW_WHY_NO_CUDA; }, nullptr},
#endif
    {"cuda-emulated", "the kernels of cuda, thread by thread on the CPU", true, true, usable,
     make_emulated_backend},
};

}  // namespace

std::vector<BackendEntry> list_backends() {
  std::vector<BackendEntry> entries;
  for (const bool can_be_used : {true, false})
    for (const Known& known : kKnown)
      if (const std::string why_not = known.why_not(); why_not.empty() == can_be_used)
        entries.push_back({known.name, known.description, can_be_used, why_not, known.has_kernels});
  return entries;
}

std::string backend_names() {
  std::string names;
  constexpr size_t n = std::size(kKnown);
  for (size_t i = 0; i < n; ++i)
    names += std::string(i == 0 ? "" : i + 1 < n ? ", " : " or ") + kKnown[i].name;
  return names;
}

std::string without_kernel(const std::string& name) { return name.substr(0, name.find(':')); }

bool is_emulated(const std::string& name) {
  for (const Known& known : kKnown)
    if (known.name == without_kernel(name)) return known.is_emulated;
  return false;
}

std::unique_ptr<Backend> make_backend(const std::string& full_name, const gpu::DeviceOptions& asked,
                                      int32_t n_threads) {
  const std::string name = without_kernel(full_name);
  gpu::DeviceOptions options = asked;
  if (name.size() < full_name.size()) {
    const std::string kernel = full_name.substr(name.size() + 1);
    if (kernel.empty())
      throw UsageError(
          "backend '{}' names no kernel: remove the colon, or add a kernel, as in cuda-emulated:k05",
          full_name);
    if (!asked.kernel.empty() && asked.kernel != kernel)
      throw UsageError("backend '{}' names kernel {}, but --kernel names {}: give only one of them",
                       full_name, kernel, asked.kernel);
    options.kernel = kernel;
  }
  std::string names;
  for (const Known& known : kKnown) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
    if (name != known.name) continue;
    if (const std::string why_not = known.why_not(); !why_not.empty())
      throw UsageError("backend '{}' cannot be used: {}; use eigen", name, why_not);
    if (!known.has_kernels && !options.kernel.empty())
      throw UsageError("backend '{}' has no kernels to choose from: name no kernel, or use cuda-emulated",
                       name);
    if (!known.is_emulated && (options.report || options.check))
      throw UsageError("backend '{}' cannot report or check its memory accesses: use cuda-emulated", name);
    return known.make(options, n_threads);
  }
  throw UsageError("unknown backend '{}': use one of {}", name, names);
}

std::unique_ptr<Backend> make_backend(const std::string& name, int32_t n_threads) {
  return make_backend(name, gpu::DeviceOptions{}, n_threads);
}

std::vector<KernelEntry> list_kernels() {
  std::vector<KernelEntry> entries;
  for (const auto& [name, idea] : emulated_kernels()) entries.push_back({name, idea});
  return entries;
}

std::string kernel_for(const gpu::AttendShape& shape) { return emulated_kernel_for(shape); }

std::string traffic_report(const Backend& backend) { return simt_report(backend); }
std::vector<simt::KernelTraffic> traffic(const Backend& backend) { return simt_traffic(backend); }

}  // namespace lastrow
