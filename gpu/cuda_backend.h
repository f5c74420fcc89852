// The backend "cuda": the kernels of gpu/ladder and gpu/ops on an NVIDIA GPU, and cuBLAS for linear layers.
//
//   if (const std::string why = why_no_cuda(); why.empty()) auto backend = make_cuda_backend();
//
// It uses the first visible device; CUDA_VISIBLE_DEVICES chooses another. cuBLAS is loaded when the first
// linear layer runs (backend/cublas.h). This header includes no CUDA header.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/device_options.h"

namespace lastrow {

/// Why no GPU can be used (no driver, no device, too old a device); empty if one can.
std::string why_no_cuda();

/// Throws UsageError if the kernel is not in the ladder or no GPU can be used, and CudaError if the device
/// fails.
std::unique_ptr<Backend> make_cuda_backend(const gpu::DeviceOptions& options = {});

}  // namespace lastrow
