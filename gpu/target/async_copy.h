// Asynchronous copies from global to shared memory: they use no registers, and the thread goes on meanwhile.
//
//   AsyncCopies copies;                               one per thread
//   copies.copy<8>(s_k, at, o.g_k, offset, seen);     begins to copy 16 bytes (or 4). If not `seen`, it reads
//                                                     nothing, whatever the offset, and writes zeros
//   copies.close_group();                             the copies begun since the last group become one group
//   copies.wait<2>();                                 waits until all but this thread's last 2 groups arrived
//
// wait() covers only the thread's own copies. Another thread may read them after a __syncthreads() that comes
// after the wait. A place may be the target of a new copy once what was read from it has been used.
//
// Under nvcc these are cp.async (sm_80 and later). Under the emulator a copy reads its source at once, and
// writes its destination only when its group is waited for. It is an error, which simt/races.h reports, to
// touch the destination or to write to the source while the copy is on its way.
// Source: PTX ISA, "Data Movement and Conversion Instructions: cp.async".
#pragma once

#include "gpu/target/target.h"

#if !defined(__CUDACC__)
#include <functional>
#include <vector>
#endif

namespace lastrow::LASTROW_TARGET {

#if defined(__CUDACC__)

class AsyncCopies {
 public:
  template <int32_t n, typename T>
  __device__ void copy(Shared<T> to, int64_t at, Global<const T> from, int64_t i, bool seen) {
    constexpr int32_t kBytes = n * sizeof(T);
    static_assert(kBytes == 16 || kBytes == 4);
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to.pointer(at)));
    const auto source = __cvta_generic_to_global(from.pointer(i));
    // With a source size of 0 it reads nothing, whatever the address, and writes zeros.
    // Only copies of 16 bytes can bypass L1.
    if constexpr (kBytes == 16)
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(source),
                   "r"(seen ? 16 : 0)
                   : "memory");
    else
      asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(source),
                   "r"(seen ? 4 : 0)
                   : "memory");
  }
  __device__ void close_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }
  template <int32_t n_left>
  __device__ void wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(n_left) : "memory");
  }
};

#else

class AsyncCopies {
 public:
  template <int32_t n, typename T>
  void copy(Shared<T> to, int64_t at, Global<const T> from, int64_t i, bool seen,
            Here here = Here::current()) {
    static_assert(n * sizeof(T) == 16 || n * sizeof(T) == 4);
    const Vec<T, n> v = seen ? from.template load_vec<n>(i, here) : Vec<T, n>{};
    if (seen) from.template hold<n>(i, here);
    to.template copy_begins<n>(at, here);
    open_.push_back([=] {
      if (seen) from.template release<n>(i, here);
      to.template copy_lands<n>(at, v, here);
    });
  }
  void close_group() {
    groups_.push_back(std::move(open_));
    open_.clear();
  }
  template <int32_t n_left>
  void wait() {
    while (groups_.size() > size_t{n_left}) {
      for (const auto& land : groups_.front()) land();
      groups_.erase(groups_.begin());
    }
  }

 private:
  using Group = std::vector<std::function<void()> >;
  Group open_;
  std::vector<Group> groups_;
};

#endif

}  // namespace lastrow::LASTROW_TARGET
