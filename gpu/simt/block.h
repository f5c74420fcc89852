// One block of an emulated grid: its threads as fibers, what they wait for, and its shared memory.
//
//   Block block;                                   one per OS thread; runs block after block
//   block.run({"k04", grid, threads, bytes}, index, body, observer);   calls body once in each thread
//
// Inside body, through the words of cuda_words.h:
//   block.barrier(…)                 __syncthreads
//   block.meet(…)                    shuffles, votes, __syncwarp: the lanes of a mask exchange values
//   block.meet_all(…)                mma, ldmatrix: all lanes of the warp exchange registers
//   block.declare_shared(…)          an array of the block; every thread declares the same arrays in order
//
// Threads run one at a time, warp after warp, each until it has to wait. Two kernel lines never run at once,
// so a kernel with a race gives the same wrong answer each time, and the observer names the race. If no
// thread can go on and some thread waits, the block reports which thread is missing and where (SimtError).
// Then it unwinds the others.
//
// Invariant: between two calls of run every fiber is suspended in its outermost loop.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

#include "core/function_ref.h"
#include "gpu/simt/fiber.h"
#include "gpu/simt/finding.h"
#include "gpu/simt/observer.h"
#include "gpu/simt/thread.h"

namespace lastrow::simt {

/// What all blocks of one launch share.
struct Launch {
  const char* kernel;
  Dim3 grid, block;
  int64_t shared_bytes;  // dynamic
};

struct SharedArray {
  int32_t order;  // of declaration, from 0
  const char* name;
  std::byte* data;
  int64_t n;  // elements
  int32_t elem_bytes;
  bool dynamic;
};

class Block {
 public:
  Block();
  ~Block();

  /// Throws what the kernel's threads threw, or a SimtError.
  void run(const Launch& launch, Dim3 index, FunctionRef<void()> body, Observer* observer);

  const Launch& launch() const { return *launch_; }
  Dim3 index() const { return index_; }

  void barrier(Here here);
  /// Waits until every lane of `mask` has come to a meeting of the same kind with the same mask. Returns the
  /// value of `source_lane` for a shuffle. For a vote, bit l is set if the value of lane l was not 0.
  uint64_t meet(Wait kind, uint32_t mask, uint64_t value, int32_t source_lane, Here here);
  /// Waits until all 32 lanes of the warp have come to this line with the same exchange. The last of them
  /// calls the exchange. `brought` has to live until this returns.
  void meet_all(Wait kind, Exchange exchange, void* brought, Here here);
  const SharedArray& declare_shared(const char* name, int64_t n, int32_t elem_bytes, bool dynamic, Here here);

  /// A bit for each lane of the warp that has not returned.
  uint32_t live_lanes(int32_t warp) const { return live_[warp]; }
  [[noreturn]] void fail(Finding finding, const Thread& thread, Here here, const std::string& what) const;

 private:
  struct Slot;  // a fiber and the thread it runs
  void prepare(int64_t n_threads);
  void run_warp(int32_t warp);
  void keep_failure(FunctionRef<void()> step);
  void wait(Thread& thread);
  void release_barrier();
  bool complete_meeting(Thread& last);
  void exchange_all(const Thread& last);
  void abandon();
  [[noreturn]] void report_deadlock();
  std::string whereabouts(const Thread& thread) const;
  Thread& thread_of(int32_t rank);
  Thread& lane(int32_t warp, int32_t lane) { return thread_of(warp * kWarpSize + lane); }

  const Launch* launch_ = nullptr;
  const FunctionRef<void()>* body_ = nullptr;
  Dim3 index_;
  Observer* observer_ = nullptr;
  std::vector<std::unique_ptr<Slot>> slots_;  // as many as the largest block so far had threads
  int32_t n_threads_ = 0, n_returned_ = 0, n_at_barrier_ = 0;
  std::vector<uint32_t> runnable_, live_;         // a bit per lane, for each warp
  std::unique_ptr<std::byte[]> shared_;           // kMaxSharedBytes
  int64_t static_bytes_ = 0, dynamic_bytes_ = 0;  // declared so far
  std::vector<SharedArray> arrays_;
  std::exception_ptr failure_;
  bool abandoned_ = false, ending_ = false;
};

}  // namespace lastrow::simt
