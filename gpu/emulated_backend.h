// The backend "cuda-emulated": the kernels of gpu/kernels, run thread by thread on the CPU (simt/).
//
//   auto backend = make_emulated_backend({.kernel = "k05", .report = true});
//   …                                   like any other backend
//   simt_report(*backend)               tables of what each kernel asked of memory since it was made
//
// Linear layers go through an unobserved stand-in (the Eigen backend's), as they go through cuBLAS on a GPU.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "gpu/device_options.h"
#include "gpu/kernels/attend_call.h"

namespace lastrow {

namespace simt {
struct KernelTraffic;  // gpu/simt/traffic.h
}

/// Throws UsageError for a kernel that is not in the ladder.
std::unique_ptr<Backend> make_emulated_backend(const gpu::DeviceOptions& options = {});

/// Of a backend made by make_emulated_backend with options.report; throws UsageError for another.
std::string simt_report(const Backend& backend);
/// The same as numbers, a kernel each.
std::vector<simt::KernelTraffic> simt_traffic(const Backend& backend);

/// Name and idea of each rung of the ladder, the same as on a GPU; and the one taken for a shape.
std::vector<std::pair<std::string, std::string>> emulated_kernels();
std::string emulated_kernel_for(const gpu::AttendShape& shape);

}  // namespace lastrow
