// The emulated GPU: runs the blocks of a grid, several at once, observed or not.
//
//   Device device;                          one Block and its fibers per OS thread
//   device.watch({.check = true});          looks for races and reads of unwritten memory, in every block
//   device.watch({.report = true});         counts traffic, in a sample of the blocks
//   launch(kernel, grid, block, bytes, &device, args…);      (launch.h)
//   for (const KernelTraffic& k : device.traffic()) …        what was counted since clear_traffic()
//
// Bounds, alignment, barriers and shuffles are always checked. If several blocks fail, the first in grid
// order is reported, whatever the number of threads. A launch that would take longer than the limit is
// stopped as soon as its first blocks show that. A launch also ends, in the middle of a block, when the
// caller's StopScope (core/stop.h) is asked to stop; then run throws Cancelled.
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
  int64_t n_sample_blocks = 32;  // per launch at most so many blocks are counted, evenly spaced
};

class Device {
 public:
  /// n_threads 0: one thread per core.
  explicit Device(int32_t n_threads = 0);
  ~Device();

  int32_t n_threads() const { return pool_.n_threads(); }
  void watch(Watch watch) { watch_ = watch; }
  /// A launch that is estimated to take longer is refused; 0: no limit.
  void limit_seconds(double seconds) { limit_s_ = seconds; }

  /// Calls body once in each thread of each block. Throws SimtError for a finding, and CapacityError with the
  /// estimate above the limit.
  void run(const Launch& launch, FunctionRef<void()> body);

  /// Until it is called with null, launch() puts its launches at the end of *list instead of running them.
  void keep_launches(std::vector<std::function<void()>>* list) { kept_launches_ = list; }
  std::vector<std::function<void()>>* kept_launches() const { return kept_launches_; }

  /// One entry per kernel, in the order of their first launches.
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
