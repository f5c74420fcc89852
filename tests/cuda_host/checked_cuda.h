// A CUDA runtime and a cuBLAS that run nothing and check every call. They test host code without a GPU.
//
//   checked_cuda::reset();                                an empty H100 with 80 GiB
//   { auto backend = make_cuda_backend({}); … }
//   CHECK(checked_cuda::mistakes().empty());
//   CHECK(checked_cuda::counts().n_live == 0);            everything was freed
//
// In a program that is linked with them, these functions replace those of libcudart, and load_cublas()
// returns the stand-in instead of loading cuBLAS. Kernels and matrix products do not change memory, which
// starts as zeros. So every token is 0, and every time is made up. Tests can check which calls are made, in
// what order, with what arguments, and that everything is freed.
//
// As on a GPU, the host cannot read or write device memory: code that does so by mistake ends with a
// segmentation fault. Copies reach device memory through a second mapping.
//
// These are mistakes:
//   a launch beyond the limits of the device (grid, block, registers · threads, shared memory not requested)
//   an address of the host, or of freed memory, among the arguments of a kernel, at a launch or in a graph
//   a copy beyond an allocation
//   a call that a recording stream does not allow
//   a matrix product recorded without a workspace
//   a handle or an allocation that is freed twice or was never made
// The call then fails as it does on a GPU. Registers and static shared memory are those that ptxas gave for
// sm_90.
//
// * One thread at a time.
// * Never call reset() while any object of CUDA is alive.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lastrow::checked_cuda {

struct Counts {
  int64_t n_launches = 0;  // of kernels, those of graphs included
  int64_t n_early = 0;     // of these, launches that may begin before the kernel before them has ended
  int64_t n_products = 0;  // of cuBLAS, those of graphs included
  int64_t n_cublas_loads = 0;
  int64_t n_uploads = 0, n_downloads = 0;
  int64_t n_waits = 0;  // how often the host waited for a stream or an event
  int64_t n_recordings = 0, n_graph_launches = 0;
  int64_t n_allocations = 0;
  int64_t bytes_in_use = 0;
  int64_t n_live = 0;  // allocations, streams, events, graphs, handles
};

/// The properties that the device reports.
struct Claims {
  int64_t memory_bytes = int64_t{80} << 30;
  int n_devices = 1;
  int driver = 13000;  // version of the driver; 0: none is installed
  int major = 9;       // of the compute capability
};

void reset(const Claims& claims = {});
void set_memory(int64_t bytes);
Counts counts();
const std::vector<std::string>& mistakes();

/// From now on, launches of kernels whose name has this part fail with this code; "": no launch fails.
void fail_launches_of(const std::string& part, cudaError_t code = cudaErrorLaunchOutOfResources);
/// From now on, every wait for the device fails with this code, as after a kernel that failed. cudaSuccess
/// ends this.
void fail_waits(cudaError_t code);
/// From now on, a wait for the device never returns, as with a kernel that hangs. Only the end of the process
/// ends this.
void hang_waits();

}  // namespace lastrow::checked_cuda
