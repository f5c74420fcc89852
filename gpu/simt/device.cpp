#include "gpu/simt/device.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>

#include "core/stop.h"
#include "gpu/simt/races.h"

namespace lastrow::simt {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kEstimateAfterSeconds = 0.5;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The race detector, the traffic counter, or both: then it passes each event on to them.
class Watchers final : public Observer {
 public:
  RaceDetector races;
  TrafficCounter counter;

  /// Who observes a block; null: nobody.
  Observer* observer(bool check, bool report) {
    if (check && report) return this;
    if (check) return &races;
    return report ? &counter : nullptr;
  }

  void block_begins(const Block& block, int32_t n_threads) override {
    each([&](Observer& o) { o.block_begins(block, n_threads); });
  }
  void shared_declared(const SharedArray& array) override {
    each([&](Observer& o) { o.shared_declared(array); });
  }
  void global(const Thread& thread, Access access, const GlobalArray& array, int64_t first, int32_t n,
              Here here) override {
    each([&](Observer& o) { o.global(thread, access, array, first, n, here); });
  }
  void shared(const Thread& thread, Access access, const SharedArray& array, int64_t first, int32_t n,
              Here here) override {
    each([&](Observer& o) { o.shared(thread, access, array, first, n, here); });
  }
  void copy_begins(const Thread& thread, const SharedArray& array, int64_t first, int32_t n,
                   Here here) override {
    each([&](Observer& o) { o.copy_begins(thread, array, first, n, here); });
  }
  void source_held(const Thread& thread, const GlobalArray& array, int64_t first, int32_t n,
                   Here here) override {
    each([&](Observer& o) { o.source_held(thread, array, first, n, here); });
  }
  void source_released(const Thread& thread, const GlobalArray& array, int64_t first, int32_t n,
                       Here here) override {
    each([&](Observer& o) { o.source_released(thread, array, first, n, here); });
  }
  void barrier_passed(Here here) override {
    each([&](Observer& o) { o.barrier_passed(here); });
  }
  void lanes_met(int32_t warp, Wait kind, uint32_t mask, Here here) override {
    each([&](Observer& o) { o.lanes_met(warp, kind, mask, here); });
  }
  void block_ends() override {
    each([](Observer& o) { o.block_ends(); });
  }

 private:
  template <typename Call>
  void each(const Call& call) {
    call(races);
    call(counter);
  }
};

void check_limits(const Launch& launch) {
  const auto refuse = [&](const std::string& what) {
    throw SimtError(Finding::launch_limits,
                    fmt::format("{}: {}: {}", launch.kernel, name_of(Finding::launch_limits), what));
  };
  const Dim3 grid = launch.grid, block = launch.block;
  if (block.size() < 1 || block.size() > kMaxThreads)
    refuse(
        fmt::format("a block of {} threads {}: use 1 to {}", block.size(), block.to_string(), kMaxThreads));
  if (block.z > 64) refuse(fmt::format("a block {}: z is at most 64", block.to_string()));
  if (grid.size() < 1)
    refuse(fmt::format("an empty grid {}: skip the launch if there is nothing to do", grid.to_string()));
  if (grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535)
    refuse(fmt::format("a grid {}: y and z are at most 65535", grid.to_string()));
  if (launch.shared_bytes < 0 || launch.shared_bytes > kMaxSharedBytes)
    refuse(fmt::format("{} bytes of shared memory: a block has at most {}", launch.shared_bytes,
                       kMaxSharedBytes));
}

}  // namespace

struct Device::Worker {
  Block block;
  Watchers watchers;
};

/// One running launch, which all workers share.
struct Device::Grid {
  Grid(const Launch& l, FunctionRef<void()> b, int64_t n, int64_t every)
      : launch(l), body(b), n_blocks(n), sample_every(every), first_failed(n) {}

  const Launch& launch;
  FunctionRef<void()> body;
  int64_t n_blocks;
  int64_t sample_every;  // 0: none
  Clock::time_point start = Clock::now();
  const std::atomic<bool>* stop = StopScope::flag();
  std::atomic<int64_t> next = 0, done = 0;
  std::atomic<int64_t> first_failed;  // n_blocks: none
  std::mutex mutex;
  std::exception_ptr failure;

  void fail(int64_t block) {
    const std::lock_guard lock(mutex);
    if (block >= first_failed) return;
    first_failed = block;
    failure = std::current_exception();
  }
};

Device::Device(int32_t n_threads) : pool_(n_threads) {
  for (int32_t i = 0; i < pool_.n_threads(); ++i) workers_.push_back(std::make_unique<Worker>());
}

Device::~Device() = default;

void Device::run(const Launch& launch, FunctionRef<void()> body) {
  check_limits(launch);
  const int64_t n = launch.grid.size();
  const int64_t n_sample = std::max<int64_t>(1, watch_.n_sample_blocks);
  const int64_t every = watch_.report ? (n + n_sample - 1) / n_sample : 0;
  Grid grid(launch, body, n, every);
  const int64_t n_workers = std::min<int64_t>(n, pool_.n_threads());
  const StopScope not_the_pool(nullptr);  // each worker listens to grid.stop, and all that ran is counted
  if (n_workers == 1)
    run_blocks(*workers_[0], grid);
  else
    pool_.for_each(n_workers, [&](int64_t i) { run_blocks(*workers_[i], grid); });
  if (watch_.report) {
    KernelTraffic counted;
    for (int64_t i = 0; i < n_workers; ++i) counted.add(workers_[i]->watchers.counter.take());
    counted.kernel = launch.kernel;
    counted.grid = launch.grid;
    counted.block = launch.block;
    counted.n_launches = 1;
    counted.n_blocks = n;
    const auto known = std::find_if(traffic_.begin(), traffic_.end(),
                                    [&](const KernelTraffic& k) { return k.kernel == counted.kernel; });
    (known == traffic_.end() ? traffic_.emplace_back() : *known).add(counted);
  }
  if (grid.failure) std::rethrow_exception(grid.failure);
}

/// Takes blocks in grid order, so all blocks before a failed one have run.
void Device::run_blocks(Worker& worker, Grid& grid) {
  const StopScope scope(grid.stop);
  for (int64_t i = grid.next++; i < grid.first_failed; i = grid.next++) {
    const bool counted = grid.sample_every > 0 && i % grid.sample_every == 0;
    try {
      stop_if_asked();
      worker.block.run(grid.launch, grid.launch.grid.at(i), grid.body,
                       worker.watchers.observer(watch_.check, counted));
      const double elapsed_s = seconds_since(grid.start);
      const double estimate_s =
          elapsed_s * static_cast<double>(grid.n_blocks) / static_cast<double>(++grid.done);
      if (limit_s_ > 0 && elapsed_s > kEstimateAfterSeconds && estimate_s > limit_s_)
        throw CapacityError(
            "{} with a grid of {} blocks would take about {:.0f} s under the emulator, more than {:.0f} s: "
            "use a smaller shape, check or count less, or force it",
            grid.launch.kernel, grid.n_blocks, estimate_s, limit_s_);
    } catch (...) {
      grid.fail(i);
    }
  }
}

}  // namespace lastrow::simt
