// The list of all backends. Only this folder knows which of them were built.
//
//   for (const BackendEntry& e : list_backends()) …      all backends, usable or not
//   auto backend = make_backend("eigen");
//   auto backend = make_backend("cuda-emulated:k05");    attention by this kernel of the ladder
//   auto backend = make_backend("cuda-emulated", {.kernel = "k05", .report = true});
//   traffic_report(*backend)                             the memory accesses of its kernels, as text
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/device_options.h"

namespace lastrow {

namespace simt {
struct KernelTraffic;  // gpu/simt/traffic.h
}
namespace gpu {
struct AttendShape;  // gpu/parts/attend_call.h
}

struct BackendEntry {
  std::string name;
  std::string description;
  bool usable;
  std::string why_not;  // empty if usable
  bool has_kernels;     // attention by a kernel of the ladder, which --kernel may name
};

/// All backends. Those that can be used here come first.
std::vector<BackendEntry> list_backends();

/// "eigen, naive, naive-f64, cuda or cuda-emulated": the names of all backends, for help texts.
std::string backend_names();

/// The name is "eigen", "naive", "naive-f64", "cuda" or "cuda-emulated". The last two may name the kernel for
/// attention after a colon. Throws UsageError for
///   an unknown name                                the message lists the known names
///   a backend that is not usable here              the message says why
///   a kernel that the backend does not have
///   a report or check                              only cuda-emulated has them
/// A backend ignores any other option that it does not need.
/// n_threads is the number of CPU threads that compute; 0 uses all cores.
std::unique_ptr<Backend> make_backend(const std::string& name, const gpu::DeviceOptions& options = {},
                                      int32_t n_threads = 0);
std::unique_ptr<Backend> make_backend(const std::string& name, int32_t n_threads);
/// "cuda-emulated:k05" → "cuda-emulated".
std::string without_kernel(const std::string& name);
/// Whether the backend of this name, with or without a kernel, runs kernels on the CPU. Such a backend can report and
/// check their memory accesses, and has a time limit.
bool is_emulated(const std::string& name);

struct KernelEntry {
  std::string name;  // "k05", as --kernel takes it
  std::string idea;
};

/// The ladder of attention kernels of cuda and cuda-emulated, in order.
std::vector<KernelEntry> list_kernels();
/// The kernel that these backends choose for a shape if the user names none.
std::string kernel_for(const gpu::AttendShape& shape);

/// The memory accesses of a backend's kernels, as text.
/// Throws UsageError unless it was made with options.report.
std::string traffic_report(const Backend& backend);
/// The same as numbers, for each kernel.
std::vector<simt::KernelTraffic> traffic(const Backend& backend);

}  // namespace lastrow
