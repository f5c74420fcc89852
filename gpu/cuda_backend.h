// The backend "cuda": the kernels of gpu/kernels on an NVIDIA GPU, linear layers through cuBLAS.
//
//   if (const std::string why = why_no_cuda(); why.empty()) auto backend = make_cuda_backend();
//
// The first visible device is used; CUDA_VISIBLE_DEVICES chooses. cuBLAS is loaded when the first linear
// layer runs (backend/cublas.h). No CUDA header is needed to include this one.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"
#include "gpu/device_options.h"

namespace lastrow {

/// Why there is no GPU to use: no driver, no device, one too old; empty if there is one.
std::string why_no_cuda();

/// Throws UsageError for a kernel that is not in the ladder and where there is no GPU to use, CudaError if
/// the device fails.
std::unique_ptr<Backend> make_cuda_backend(const gpu::DeviceOptions& options = {});

}  // namespace lastrow
