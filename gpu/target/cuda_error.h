// Errors of the device: every call and every launch is checked, in release builds too.
//
//   LASTROW_CUDA(cudaMalloc(&p, n));
//
// CudaError names the expression, the error, the file and line and, for a launch, the kernel.
#pragma once

#include <cuda_runtime_api.h>

#include "core/error.h"

namespace lastrow {

struct CudaError : Error {
  CudaError(cudaError_t code, const char* expression, const char* file, int line, const char* kernel = "");
  cudaError_t code;
};

/// Throws CudaError if the call failed. It also clears CUDA's error state, so that the next launch is not
/// blamed for this failure.
inline void check_cuda(cudaError_t code, const char* expression, const char* file, int line) {
  if (code == cudaSuccess) return;
  cudaGetLastError();
  throw CudaError(code, expression, file, line);
}

}  // namespace lastrow

#define LASTROW_CUDA(expression) ::lastrow::check_cuda((expression), #expression, __FILE__, __LINE__)
