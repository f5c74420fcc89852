// The device's failures: every call and every launch is checked, in release too.
//
//   LASTROW_CUDA(cudaMalloc(&p, n));
//
// CudaError names the expression, the error, the place and, of a launch, the kernel.
#pragma once

#include <cuda_runtime_api.h>

#include "core/error.h"

namespace lastrow {

struct CudaError : Error {
  CudaError(cudaError_t code, const char* expression, const char* file, int line, const char* kernel = "");
  cudaError_t code;
};

/// What failed is said once, here: the next launch is not blamed for it.
inline void check_cuda(cudaError_t code, const char* expression, const char* file, int line) {
  if (code == cudaSuccess) return;
  cudaGetLastError();
  throw CudaError(code, expression, file, line);
}

}  // namespace lastrow

#define LASTROW_CUDA(expression) ::lastrow::check_cuda((expression), #expression, __FILE__, __LINE__)
