// A kernel that may begin while the kernel before it on the stream still runs: programmatic dependent launch.
//
//   launch(Kernel{"k07_merge", k07_merge<4>, Begins::early}, …)     the second: launched to begin early
//   let_next_begin();          in the first, by every thread: the second may take places that are free
//   wait_for_previous();       in the second, by every thread, before it reads or writes global memory
//
// Past wait_for_previous() all of the first kernel's threads have ended and all of its writes are seen, so
// early or not, the second computes the same. A block that never calls let_next_begin() lets the second begin
// when it ends. This saves the second kernel's launch time, not its work.
//
// Never leave out wait_for_previous(), not even in a thread that returns at once: a kernel launched after the
// second counts on the first having ended.
//
// From sm_90 on. Elsewhere, and under the emulator, kernels run one after the other, and both functions do
// nothing. Source: PTX ISA, griddepcontrol; CUDA C++ Programming Guide, "Programmatic Dependent Launch".
#pragma once

#include "gpu/kernels/target.h"

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
