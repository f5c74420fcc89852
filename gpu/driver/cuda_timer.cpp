#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <limits>

#include "gpu/backend/cuda_graph.h"
#include "gpu/driver/read_all.h"
#include "gpu/driver/timed_call.h"
#include "gpu/driver/timer.h"
#include "gpu/target/launch_notes.h"

namespace lastrow::cuda {
namespace {

constexpr double kRoundUs = 500;                      // least device time of a round
constexpr double kBudgetUs = 1.5e5;                   // device time for the samples of one rung and shape
constexpr int32_t kLeastSamples = 3, kSamples = 100;  // least and most samples, however slow the rung is

cudaDeviceProp properties() {
  cudaDeviceProp p{};
  LASTROW_CUDA(cudaGetDeviceProperties(&p, 0));
  return p;
}

std::string version(int v) { return fmt::format("{}.{}", v / 1000, v % 1000 / 10); }

class Event {
 public:
  Event() { LASTROW_CUDA(cudaEventCreate(&event_)); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(Stream stream) { LASTROW_CUDA(cudaEventRecord(event_, stream)); }
  double us_since(const Event& start) const {
    float ms = 0;
    LASTROW_CUDA(cudaEventSynchronize(event_));
    LASTROW_CUDA(cudaEventElapsedTime(&ms, start.event_, event_));
    return 1e3 * ms;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

double quantile(std::vector<double>& x, double share) {
  const auto nth = x.begin() + static_cast<int64_t>(share * static_cast<double>(x.size() - 1));
  std::nth_element(x.begin(), nth, x.end());
  return *nth;
}

using Launch = FunctionRef<void(int64_t i)>;  // launches a call on buffer i

/// The microseconds of each of n pieces of work. They are queued one right after the other, and the host
/// waits only at the end.
std::vector<double> time_each(Stream stream, int32_t n, FunctionRef<void(int32_t)> work) {
  std::deque<Event> events;
  events.emplace_back().record(stream);
  for (int32_t i = 0; i < n; ++i) {
    work(i);
    events.emplace_back().record(stream);
  }
  std::vector<double> us;
  for (int32_t i = 0; i < n; ++i) us.push_back(events[i + 1].us_since(events[i]));
  return us;
}

/// A sample is the time of a whole round over the buffers, divided by its calls, so no bytes are read twice
/// in a row. Rounds are recorded, so the host's launch calls do not slow them down. If a round takes too
/// long, a sample is one call, each time on the next buffer.
std::vector<double> device_times(Stream stream, int64_t n_buffers, double once_us, Launch launch) {
  const auto samples = [](double us) {
    return std::clamp(static_cast<int32_t>(kBudgetUs / us), kLeastSamples, kSamples);
  };
  const auto n_rounds =
      static_cast<int64_t>(std::ceil(kRoundUs / (once_us * static_cast<double>(n_buffers))));
  const int64_t n_calls = n_buffers * std::max<int64_t>(1, n_rounds);
  const double round_us = once_us * static_cast<double>(n_calls);
  if (round_us * kLeastSamples > kBudgetUs)
    return time_each(stream, samples(once_us), [&](int32_t i) { launch(i % n_buffers); });
  CudaGraph round(stream, [&] {
    for (int64_t i = 0; i < n_calls; ++i) launch(i % n_buffers);
  });
  round.launch(stream);  // warm-up: clocks, caches, the graph itself
  std::vector<double> us = time_each(stream, samples(round_us), [&](int32_t) { round.launch(stream); });
  for (double& sample : us) sample /= static_cast<double>(n_calls);
  return us;
}

/// The time from the host's call until it knows that the result is there.
double launch_inclusive_us(Stream stream, int64_t n_buffers, double once_us, Launch launch) {
  std::vector<double> us;
  const auto n = std::clamp(static_cast<int32_t>(kBudgetUs / 4 / once_us), 1, kSamples);
  for (int32_t i = 0; i < n; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    launch(i % n_buffers);
    LASTROW_CUDA(cudaStreamSynchronize(stream));
    us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
  }
  return quantile(us, 0.5);
}

driver::Timing time_calls(Stream stream, int64_t n_buffers, Launch launch) {
  launch(0);  // the first call of a kernel loads it
  const double once_us = std::max(1.0, time_each(stream, 1, [&](int32_t) { launch(1 % n_buffers); }).front());
  std::vector<double> us = device_times(stream, n_buffers, once_us, launch);
  return {.median_us = quantile(us, 0.5),
          .low_us = quantile(us, 0.1),
          .high_us = quantile(us, 0.9),
          .launch_us = launch_inclusive_us(stream, n_buffers, once_us, launch)};
}

}  // namespace

driver::DeviceInfo device_info(const Runtime&) {
  int driver = 0;
  LASTROW_CUDA(cudaDriverGetVersion(&driver));
  return {"cuda", properties().name, version(driver), version(CUDART_VERSION)};
}

std::vector<simt::KernelTraffic> count_traffic(Runtime&, FunctionRef<void()>) {
  throw UsageError("a GPU counts no memory traffic of a kernel: use --target emulated");
}

driver::Bandwidth measure_bandwidth(Runtime& runtime) {
  const cudaDeviceProp p = properties();
  const int64_t bytes = std::max<int64_t>(int64_t{1} << 30, kTimesL2 * p.l2CacheSize);
  const auto make = [&](int64_t n) { return Tensor(runtime.memory(), DType::u8, {n}); };
  Tensor from = make(bytes), to = make(bytes), sum = make(16);
  fill_with(runtime, from, random_rows(DType::bf16));  // equal bytes could move faster than real ones
  double read_us = std::numeric_limits<double>::infinity();
  for (const int32_t blocks : {2, 4, 16, 64})  // per multiprocessor; the fastest is the roof
    for (int32_t order = 0; order < kReadOrders; ++order) {
      const auto read = [&](int64_t) {
        start_read_all(from.view().raw(), bytes, static_cast<uint32_t*>(sum.view().raw()),
                       blocks * p.multiProcessorCount, order, runtime.stream());
      };
      read_us = std::min(read_us, time_calls(runtime.stream(), 1, read).median_us);
    }
  const auto copy = [&](int64_t) { runtime.on_device(to.view().raw(), from.view().raw(), bytes); };
  const double gb = static_cast<double>(bytes) / 1e9;
  return {.read = gb / read_us * 1e6, .copy = 2 * gb / time_calls(runtime.stream(), 1, copy).median_us * 1e6};
}

/// Notes this thread's launches during its life.
class LaunchNotes {
 public:
  LaunchNotes() { note_launches(&notes); }
  ~LaunchNotes() { note_launches(nullptr); }
  LaunchNotes(const LaunchNotes&) = delete;
  LaunchNotes& operator=(const LaunchNotes&) = delete;
  std::vector<LaunchNote> notes;
};

driver::Timing time_rung(Runtime& runtime, const Rung& rung, const gpu::AttendTask& task, const Rung& other) {
  TimedCall call(runtime, rung, task, properties().l2CacheSize);
  const double difference = call.difference_from(other);
  LaunchNote attends{};
  {
    LaunchNotes noted;
    call.launch(0);
    if (!noted.notes.empty()) attends = noted.notes.front();
  }
  driver::Timing t = time_calls(runtime.stream(), call.n_buffers(), [&](int64_t i) { call.launch(i); });
  t.registers = attends.registers, t.shared_bytes = attends.shared_bytes;
  t.difference = difference;
  return t;
}

}  // namespace lastrow::cuda
