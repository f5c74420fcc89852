// Chooses what kernel text runs on: under nvcc a GPU, under a C++ compiler the emulator.
//
//   #include "gpu/target/target.h"           in kernel files, after all other includes
//   namespace lastrow::LASTROW_TARGET { … }  cuda or emulated: the same text twice, under two names
//
// For both it provides Global, Shared, DynamicShared, LASTROW_SHARED, Vec, Kernel, launch, Stream, Dim3, and
// the words of CUDA C++. Some instructions have no word in CUDA C++ (asynchronous copies, tensor cores). For
// these we have functions, in files that hold the PTX and the emulator's C++ side by side.
#pragma once

#if defined(__CUDACC__)
#include "gpu/target/cuda_launch.h"
#include "gpu/target/cuda_views.h"
#else
#include "gpu/simt/cuda_words.h"
#include "gpu/target/emulated_launch.h"
#endif

namespace lastrow::LASTROW_TARGET {

constexpr int32_t kWarpSize = 32;  // CUDA's own warpSize is not a constant, and array sizes need one

}  // namespace lastrow::LASTROW_TARGET

#include "gpu/target/early_launch.h"
