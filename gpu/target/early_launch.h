// A kernel that may begin while the kernel before it on the stream still runs: programmatic dependent launch.
//
//   launch(Kernel{"merge_partials", merge_partials<4>, Begins::early}, …)     the second kernel: it may begin early
//   let_next_begin();          every thread of the first: blocks of the second may now take free places
//   wait_for_previous();       every thread of the second, before it reads or writes global memory
//
// After wait_for_previous() all threads of the first kernel have ended, and all of its writes are visible. So
// the second kernel computes the same, whether it began early or not. A block of the first that never calls
// let_next_begin() lets the second begin when it ends.
// All this saves the launch time of the second kernel, not its work.
//
// Never leave out wait_for_previous(), not even in a thread that returns at once: a kernel that is launched
// after the second relies on the first having ended.
//
// From sm_90 on. On older GPUs and under the emulator kernels run one after the other, and both functions do
// nothing. Source: PTX ISA, griddepcontrol; CUDA C++ Programming Guide, "Programmatic Dependent Launch".
// Included by target.h, after the words that it uses.
#pragma once

namespace lastrow::LASTROW_TARGET {

__device__ inline void let_next_begin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ inline void wait_for_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

}  // namespace lastrow::LASTROW_TARGET
