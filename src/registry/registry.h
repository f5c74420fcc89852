// The one place that knows which backends were built.
//
//   for (const BackendEntry& e : list_backends()) …   all known, usable or not, with the reason
//   auto backend = make_backend("eigen");
//   auto backend = make_backend("cuda-emulated:k05");     with a kernel of its ladder
//   auto backend = make_backend("cuda-emulated", {.kernel = "k05", .report = true});
//   traffic_report(*backend)               what its kernels asked of memory, in words
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "gpu/device_options.h"
#include "gpu/kernels/attend_call.h"

namespace lastrow {

namespace simt {
struct KernelTraffic;  // gpu/simt/traffic.h
}

struct BackendEntry {
  std::string name;
  std::string description;
  bool usable;
  std::string why_not;  // empty if usable
};

/// Those that make_backend takes first, in the order in which to list them.
std::vector<BackendEntry> list_backends();

/// "eigen", "naive", "naive-f64", "cuda", "cuda-emulated"; after a colon the kernel that is to attend. Throws
/// UsageError for an unknown name (listing the known), for one that is not usable here (with the reason), and
/// for a kernel that is not in the ladder or asked of a backend that has none. A backend that has no use for
/// another option ignores it.
std::unique_ptr<Backend> make_backend(const std::string& name, const gpu::DeviceOptions& options = {});
/// n_threads 0: all cores.
std::unique_ptr<Backend> make_backend(const std::string& name, int32_t n_threads);
/// The name without its kernel: "cuda-emulated:k05" → "cuda-emulated".
std::string backend_of(const std::string& name);

struct KernelEntry {
  std::string name;  // "k05", as --kernel takes it
  std::string idea;
};

/// The ladder of attention kernels of cuda and cuda-emulated, in order.
std::vector<KernelEntry> list_kernels();
/// The one that these backends take for a shape when none is forced.
std::string kernel_for(const gpu::AttendShape& shape);

/// Of a backend made with options.report. Throws UsageError for one that counts none.
std::string traffic_report(const Backend& backend);
/// The same as numbers, a kernel each.
std::vector<simt::KernelTraffic> traffic(const Backend& backend);

}  // namespace lastrow
