// What a kernel asked of memory, counted the way the hardware bills it: per warp instruction.
//
// The lanes of a warp run one after the other here, so an instruction is put together again: the k-th access
// of each lane at one source line (and array) belongs to the k-th execution of that instruction by the warp.
//
//   global   sectors of 32 bytes that the lanes of one instruction touch, and the bytes they wanted
//   shared   passes: 32 banks of 4 bytes serve one word each at a time; lanes that want one word share it.
//            An access of 8 bytes a lane is served half warp by half warp, of 16 by quarters.
//   partial  executions in which a live lane of the warp took no part (a divergent branch, a ragged tail)
//
// Source of the rules: CUDA C++ Programming Guide, "Device Memory Accesses" and "Shared Memory".
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "gpu/simt/block.h"

namespace lastrow::simt {

enum class Space : uint8_t { global, shared };

/// One source line's accesses to one array, in all warps observed.
struct SiteTraffic {
  Space space;
  Access access;
  std::string array;
  std::string file;
  int line;
  int32_t lane_bytes = 0;      // of one lane's access
  int64_t n_executions = 0;    // by warps
  int64_t n_partial = 0;       // in which not all live lanes took part
  int64_t bytes = 0;           // wanted by lanes
  int64_t n_sectors = 0;       // global: 32 bytes each
  int64_t n_best_sectors = 0;  // global: as few as the distinct bytes fit in
  int64_t n_passes = 0;        // shared
  int64_t n_best_passes = 0;   // shared: without conflicts
};

/// All that was counted of one kernel.
struct KernelTraffic {
  std::string kernel;
  Dim3 grid, block;
  int64_t shared_bytes = 0;  // static and dynamic, of a block
  int64_t n_launches = 0, n_blocks = 0, n_blocks_observed = 0;
  int64_t n_barriers = 0;                                             // __syncthreads, once a block
  int64_t n_shuffles = 0, n_votes = 0, n_warp_syncs = 0, n_mmas = 0;  // by warps
  std::vector<SiteTraffic> sites;

  /// Folds in what was counted of other blocks of the same kernel.
  void add(const KernelTraffic& other);
};

class TrafficCounter final : public Observer {
 public:
  void block_begins(const Block& block, int32_t n_threads) override;
  void shared_declared(const SharedArray& array) override;
  void global(const Thread& thread, Access access, const GlobalArray& array, int64_t first, int32_t n,
              Here here) override;
  void shared(const Thread& thread, Access access, const SharedArray& array, int64_t first, int32_t n,
              Here here) override;
  void copy_begins(const Thread& thread, const SharedArray& array, int64_t first, int32_t n,
                   Here here) override;
  void source_held(const Thread&, const GlobalArray&, int64_t, int32_t, Here) override {}  // told as a load
  void source_released(const Thread&, const GlobalArray&, int64_t, int32_t, Here) override {}
  void barrier_passed(Here here) override;
  void lanes_met(int32_t warp, Wait kind, uint32_t mask, Here here) override;
  void block_ends() override;

  /// What was counted since the last take.
  KernelTraffic take();

 private:
  struct Execution {  // of one instruction by one warp
    uint32_t lanes = 0;
    uint64_t address[kWarpSize];
  };
  struct Log {  // of one site in one warp
    int64_t n_folded = 0;
    int64_t n_by_lane[kWarpSize] = {};
    std::deque<Execution> open;  // executions n_folded, n_folded + 1, … that may lack lanes
  };
  struct SiteKey {
    Space space;
    Access access;
    const char* array;
    const char* file;
    int line;
    auto operator<=>(const SiteKey&) const = default;
  };
  void count(const Thread& thread, const SiteKey& key, uint64_t address, int32_t bytes);
  void fold(const Execution& execution, uint32_t live, SiteTraffic& site);

  const Block* block_ = nullptr;
  KernelTraffic total_;
  int64_t block_shared_bytes_ = 0;
  int32_t n_warps_ = 0, n_threads_ = 0;
  std::map<SiteKey, size_t> sites_;     // → total_.sites
  std::vector<std::vector<Log>> logs_;  // by site, by warp
};

}  // namespace lastrow::simt
