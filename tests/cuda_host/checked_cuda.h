// A CUDA runtime and a cuBLAS that run nothing and check every call: for tests of host code without a GPU.
//
//   checked_cuda::reset();                                an H100 with 80 GiB, nothing on it
//   { auto backend = make_cuda_backend({}); … }
//   CHECK(checked_cuda::mistakes().empty());
//   CHECK(checked_cuda::counts().n_live == 0);            everything was given back
//
// Linked into a program, these functions stand before those of libcudart, and load_cublas() gives those of
// the stand-in instead of loading cuBLAS. Kernels and matrix products leave memory as it is, and it starts as
// zeros: every token is 0, and every time is made up. What can be tested is which calls are made, in what
// order, with what arguments, and who gives back what.
//
// Device memory cannot be read or written by the host, as on a GPU: code that does it by mistake ends with a
// segmentation fault. Copies reach it through a second mapping.
//
// A mistake is: a launch beyond the device's limits (grid, block, registers · threads, shared memory that was
// not asked for); an address of the host, or of memory that was freed, among a kernel's arguments, at the
// launch or when a graph runs; a copy beyond an allocation; a call that a recording stream does not allow; a
// matrix product recorded without a workspace; anything given back twice or never made. The call then fails
// as it does on a GPU. Registers and static shared memory are what ptxas said for sm_90.
//
// * One thread at a time.
// * No reset() while anything of CUDA's is alive.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lastrow::checked_cuda {

struct Counts {
  int64_t n_launches = 0;  // of kernels, those of graphs included
  int64_t n_early = 0;     // of those, that may begin before the kernel before them has ended
  int64_t n_products = 0;  // of cuBLAS, likewise
  int64_t n_cublas_loads = 0;
  int64_t n_uploads = 0, n_downloads = 0;
  int64_t n_waits = 0;  // of the host for the device: streams and events
  int64_t n_recordings = 0, n_graph_launches = 0;
  int64_t n_allocations = 0;
  int64_t bytes_in_use = 0;
  int64_t n_live = 0;  // allocations, streams, events, graphs, handles
};

/// What the device says of itself.
struct Claims {
  int64_t memory_bytes = int64_t{80} << 30;
  int n_devices = 1;
  int driver = 13000;  // 0: none is installed
  int major = 9;       // of its compute capability
};

void reset(const Claims& claims = {});
void set_memory(int64_t bytes);
Counts counts();
const std::vector<std::string>& mistakes();

/// From now on, launches of kernels whose name has this part fail so; "" for none.
void fail_launches_of(const std::string& part, cudaError_t code = cudaErrorLaunchOutOfResources);
/// What waits for the device fails so, from the next time on: what a kernel that broke does. cudaSuccess ends
/// it.
void fail_waits(cudaError_t code);
/// What waits for the device never returns: what a kernel that hangs does. Only the end of the process helps.
void hang_waits();

}  // namespace lastrow::checked_cuda
