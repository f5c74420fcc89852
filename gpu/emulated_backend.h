// The backend "cuda-emulated": the kernels of gpu/ladder and gpu/ops, run thread by thread on the CPU (simt/).
//
//   auto backend = make_emulated_backend({.kernel = "k05", .report = true});
//   …                                   use it like any other backend
//   simt_report(*backend)               a table per kernel of its memory traffic since the backend was made
//
// Linear layers use a stand-in, the Eigen backend's, which is not observed. On a GPU they use cuBLAS.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/device_options.h"
#include "gpu/parts/attend_call.h"

namespace lastrow {

namespace simt {
struct KernelTraffic;  // gpu/simt/traffic.h
}

/// n_threads: CPU threads that run blocks of kernels; 0: all cores. Throws UsageError if the kernel is not in the ladder.
std::unique_ptr<Backend> make_emulated_backend(const gpu::DeviceOptions& options = {}, int32_t n_threads = 0);

/// The traffic of a backend that make_emulated_backend made with options.report. Throws UsageError for a backend
/// without an emulator.
std::string simt_report(const Backend& backend);
/// The same as numbers, one entry per kernel.
std::vector<simt::KernelTraffic> simt_traffic(const Backend& backend);

/// Name and idea of each rung of the ladder that does not round q and p, the same as on a GPU; and the rung that is chosen for a shape.
std::vector<std::pair<std::string, std::string>> emulated_kernels();
std::string emulated_kernel_for(const gpu::AttendShape& shape);

}  // namespace lastrow
