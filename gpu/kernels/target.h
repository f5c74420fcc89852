// Where kernel text is bound to what it runs on: under nvcc to a GPU, under a C++ compiler to the emulator.
//
//   #include "gpu/kernels/target.h"          in kernel files, after all else
//   namespace lastrow::LASTROW_TARGET { … }  cuda or emulated: the same text twice, under two names
//
// Either way it brings Global, Shared, DynamicShared, LASTROW_SHARED, Vec, Kernel, launch, Stream, Dim3, and
// CUDA's own words. Instructions that CUDA C++ has no word for (asynchronous copies, tensor cores) have one
// of ours, in files that hold the PTX and the emulator's C++ side by side.
#pragma once

#if defined(__CUDACC__)
#include "gpu/kernels/cuda_launch.h"
#include "gpu/kernels/cuda_views.h"
#else
#include "gpu/simt/cuda_words.h"
#endif

namespace lastrow::LASTROW_TARGET {

constexpr int32_t kWarpSize = 32;  // lanes; CUDA's own warpSize is no constant, and sizes of arrays need one

}  // namespace lastrow::LASTROW_TARGET
