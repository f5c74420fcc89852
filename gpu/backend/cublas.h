// cuBLAS, which is loaded at the first linear layer: a program that only attends starts without it.
//
//   const Cublas cublas = load_cublas();
//   cublas.sgemm(…);
//
// No program is linked with cuBLAS. These are tried, in this order:
//   LASTROW_CUBLAS                     the file that this variable names; if it is set, nothing else is tried
//   libcublas.so.13, .so.12, .so       where the system looks for libraries (LD_LIBRARY_PATH, ldconfig)
//   the same three                     in the folder of the toolkit that built the program, then in
//                                      /usr/local/cuda/lib64
// PyTorch brings a cuBLAS of its own, in a folder that only Python knows: name that file in LASTROW_CUBLAS.
//
// * A loaded library stays loaded until the program ends.
#pragma once

#include <cublas_v2.h>

#include <string>
#include <vector>

namespace lastrow::cuda {

/// The functions that we use. The types are those of the toolkit's header; CUDA 12 and 13 agree on them.
struct Cublas {
  decltype(&cublasCreate) create;
  decltype(&cublasDestroy) destroy;
  decltype(&cublasSetStream) set_stream;
  decltype(&cublasSetWorkspace) set_workspace;
  decltype(&cublasSgemm) sgemm;
  decltype(&cublasGetStatusString) status_string;
};

/// Throws Error, which says where it looked, if there is no cuBLAS or if it lacks a function.
/// tests/cuda_host defines this function itself, and returns its stand-in for cuBLAS.
Cublas load_cublas();

/// Loads cuBLAS from the first of these folders that has one, without LASTROW_CUBLAS. "" means where the
/// system looks.
Cublas load_cublas_from(const std::vector<std::string>& folders);

}  // namespace lastrow::cuda
