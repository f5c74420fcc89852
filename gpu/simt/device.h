// The emulated GPU: runs the blocks of a grid, several at once, watched or not.
//
//   Device device;                          one Block and its fibers per OS thread
//   device.watch({.check = true});          look for races and reads of what nobody wrote, in every block
//   device.watch({.report = true});         count traffic, in a sample of the blocks
//   launch(kernel, grid, block, bytes, &device, args…);      (launch.h)
//   for (const KernelTraffic& k : device.traffic()) …      counted since clear_traffic()
//
// Bounds, alignment, barriers and shuffles are checked always. Of several blocks that fail, the first in the
// grid's order is reported, whatever the number of threads. A launch that would take longer than the limit is
// given up as soon as that can be told from its first blocks.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/thread_pool.h"
#include "gpu/simt/block.h"
#include "gpu/simt/traffic.h"

namespace lastrow::simt {

struct Watch {
  bool check = false;
  bool report = false;
  int64_t n_sample_blocks = 32;  // at most, of each launch, evenly spaced: those whose traffic is counted
};

class Device {
 public:
  /// n_threads 0: one an OS core.
  explicit Device(int32_t n_threads = 0);
  ~Device();

  int32_t n_threads() const { return pool_.n_threads(); }
  void watch(Watch watch) { watch_ = watch; }
  /// A launch estimated above this is refused; 0: never.
  void limit_seconds(double seconds) { limit_s_ = seconds; }

  /// Calls body once in each thread of each block. Throws SimtError, or CapacityError with the estimate.
  void run(const Launch& launch, FunctionRef<void()> body);

  /// Until it is called with null, launch() puts its launches at the end of *list instead of running them.
  void keep_launches(std::vector<std::function<void()>>* list) { kept_launches_ = list; }
  std::vector<std::function<void()>>* kept_launches() const { return kept_launches_; }

  /// One entry a kernel, in the order of their first launch.
  const std::vector<KernelTraffic>& traffic() const { return traffic_; }
  void clear_traffic() { traffic_.clear(); }

 private:
  struct Worker;
  struct Grid;
  void run_blocks(Worker& worker, Grid& grid);

  ThreadPool pool_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Watch watch_;
  double limit_s_ = 60;
  std::vector<KernelTraffic> traffic_;
  std::vector<std::function<void()>>* kept_launches_ = nullptr;
};

}  // namespace lastrow::simt
