#include "viewer/view_model/run/machine_roof.h"

#include <algorithm>
#include <thread>

#include "core/error.h"
#include "cost/roofline.h"
#include "model/decoder.h"

namespace lastrow::view {

namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kSmall = 1 * kMiB,
                  kLarge = 64 * kMiB;  // in the caches of most processors; beyond most of them
constexpr int kPeakRounds = 20, kSmallRounds = 100, kSmallPasses = 30, kLargeRounds = 3;

void stop_if_asked(const Progress& progress) {
  if (progress.stop) throw Cancelled("cancelled");
}

}  // namespace

std::shared_ptr<const MachineRoof> measure_machine_roof(Progress& progress) {
  progress.say("Measuring this machine …", -1);
  auto roof = std::make_shared<MachineRoof>();
  roof->n_threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 64u));
  roof->small_bytes = kSmall;
  roof->large_bytes = kLarge;
  try {
    stop_if_asked(progress);
    roof->peak_gflops = measure_peak_f32_gflops(roof->n_threads, kPeakRounds);
    stop_if_asked(progress);
    roof->small_gbps = measure_read_bandwidth_gbps(kSmall, roof->n_threads, kSmallRounds, kSmallPasses);
    stop_if_asked(progress);
    roof->large_gbps = measure_read_bandwidth_gbps(kLarge, roof->n_threads, kLargeRounds);
  } catch (const CapacityError& e) {
    roof->error = e.what();
  }
  return roof;
}

}  // namespace lastrow::view
