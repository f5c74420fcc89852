// What a kernel requested from memory, counted per warp instruction, as the hardware does.
//
// Here the lanes of a warp run one after the other, so each instruction is put together again: the k-th
// access of each lane at one source line (and to one array) belongs to
// the warp's k-th execution of that instruction.
//
//   global   sectors of 32 bytes that the lanes of one instruction touch, and the bytes that they requested
//   shared   passes: in one pass each of the 32 banks delivers one word of 4 bytes. Lanes that want the same
//            word share it. An access of 8 bytes per lane takes half a warp at a time, of 16 bytes a quarter
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

/// The accesses of one source line to one array, in all observed warps.
struct SiteTraffic {
  Space space;
  Access access;
  std::string array;
  std::string file;
  int line;
  int32_t lane_bytes = 0;      // per lane and access
  int64_t n_executions = 0;    // by warps
  int64_t n_partial = 0;       // executions in which not all live lanes took part
  int64_t bytes = 0;           // requested by lanes
  int64_t n_sectors = 0;       // global: 32 bytes each
  int64_t n_best_sectors = 0;  // global: the fewest sectors that the distinct bytes fit in
  int64_t n_passes = 0;        // shared
  int64_t n_best_passes = 0;   // shared: passes without bank conflicts
};

/// All that was counted of one kernel.
struct KernelTraffic {
  std::string kernel;
  Dim3 grid, block;
  int64_t shared_bytes = 0;  // per block, static and dynamic
  int64_t n_launches = 0, n_blocks = 0, n_blocks_observed = 0;
  int64_t n_barriers = 0;                                             // __syncthreads, counted once per block
  int64_t n_shuffles = 0, n_votes = 0, n_warp_syncs = 0, n_mmas = 0;  // by warps
  std::vector<SiteTraffic> sites;

  /// Adds the counts of other blocks of the same kernel.
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
  void source_held(const Thread&, const GlobalArray&, int64_t, int32_t, Here) override {
  }  // counted as a load
  void source_released(const Thread&, const GlobalArray&, int64_t, int32_t, Here) override {}
  void barrier_passed(Here here) override;
  void lanes_met(int32_t warp, Wait kind, uint32_t mask, Here here) override;
  void block_ends() override;

  /// Returns what was counted since the last call, and starts counting from 0 again.
  KernelTraffic take();

 private:
  struct Execution {  // of one instruction by one warp
    uint32_t lanes = 0;
    uint64_t address[kWarpSize];
  };
  struct Log {  // of one site in one warp
    int64_t n_folded = 0;
    int64_t n_by_lane[kWarpSize] = {};
    std::deque<Execution> open;  // executions n_folded, n_folded + 1, …: some lanes may still come
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
