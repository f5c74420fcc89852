#include <cuda_runtime_api.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <limits>
#include <map>

#include "cache/kv_codec.h"
#include "core/random.h"
#include "gpu/backend/cuda_graph.h"
#include "gpu/driver/read_all.h"
#include "gpu/driver/timer.h"
#include "gpu/kernels/launch_notes.h"

namespace lastrow::cuda {
namespace {

constexpr int64_t kTimesL2 = 4;    // that buffers together are of L2's size, at least
constexpr double kRoundUs = 500;   // that a round takes, at least
constexpr double kBudgetUs = 2e5;  // of device time for the samples of one rung and shape …
constexpr int32_t kLeastSamples = 3, kSamples = 100;  // … of which there are so many, however slow it is

cudaDeviceProp properties() {
  cudaDeviceProp p{};
  LASTROW_CUDA(cudaGetDeviceProperties(&p, 0));
  return p;
}

std::string version(int v) { return fmt::format("{}.{}", v / 1000, v % 1000 / 10); }

Tensor bytes_on(Runtime& runtime, int64_t n) {
  return Tensor(runtime.memory(), DType::u8, {std::max<int64_t>(16, n)});
}

/// Fills device memory with repetitions of a pattern.
void fill(Runtime& runtime, Tensor& buffer, const void* pattern, int64_t bytes) {
  auto* const to = static_cast<std::byte*>(buffer.view().raw());
  const int64_t n = buffer.size_bytes();
  runtime.to_device(to, pattern, std::min(bytes, n));
  for (int64_t done = bytes; done < n; done *= 2) runtime.on_device(to + done, to, std::min(done, n - done));
}

std::vector<std::byte> make_random_rows(DType dtype) {
  std::vector<std::byte> pattern(1 << 20);
  Random random(1);
  const auto n = static_cast<int64_t>(pattern.size() / size_of(dtype));
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = static_cast<float>(random.normal());
  const auto encode = [&]<typename T>(T) {
    encode_row(x.data(), static_cast<int32_t>(n), reinterpret_cast<T*>(pattern.data()));
  };
  switch (dtype) {
    case DType::f16:
      encode(Half{});
      break;
    case DType::bf16:
      encode(BFloat16{});
      break;
    case DType::fp8_e4m3:
      encode(Fp8E4M3{});
      break;
    case DType::i8:
      encode(int8_t{});
      break;
    default:
      encode(float{});
  }
  return pattern;
}

/// Encoded normal numbers, 1 MiB of them, made once: any part of it is rows of the type.
const std::vector<std::byte>& random_rows(DType dtype) {
  static std::map<DType, std::vector<std::byte>> made;
  if (!made.contains(dtype)) made[dtype] = make_random_rows(dtype);
  return made[dtype];
}

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

using Launch = FunctionRef<void(int64_t i)>;  // the i-th call, on the buffers that are i's turn

/// Microseconds of each of n pieces of work, one queued right after the other: the host waits at the end
/// alone.
std::vector<double> times_of(Stream stream, int32_t n, FunctionRef<void(int32_t)> work) {
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

/// A sample is a whole round over the buffers, divided by its calls, so that no bytes are read twice in a
/// row. Rounds are recorded: launches cost the host nothing while they are timed. Where a round takes too
/// long a sample is one call, on the next buffer each time.
std::vector<double> device_times(Stream stream, int64_t n_buffers, double once_us, Launch launch) {
  const auto samples = [](double us) {
    return std::clamp(static_cast<int32_t>(kBudgetUs / us), kLeastSamples, kSamples);
  };
  const auto n_rounds =
      static_cast<int64_t>(std::ceil(kRoundUs / (once_us * static_cast<double>(n_buffers))));
  const int64_t n_calls = n_buffers * std::max<int64_t>(1, n_rounds);
  const double round_us = once_us * static_cast<double>(n_calls);
  if (round_us * kLeastSamples > kBudgetUs)
    return times_of(stream, samples(once_us), [&](int32_t i) { launch(i % n_buffers); });
  CudaGraph round(stream, [&] {
    for (int64_t i = 0; i < n_calls; ++i) launch(i % n_buffers);
  });
  round.launch(stream);  // warm-up: clocks, caches, the graph itself
  std::vector<double> us = times_of(stream, samples(round_us), [&](int32_t) { round.launch(stream); });
  for (double& sample : us) sample /= static_cast<double>(n_calls);
  return us;
}

/// From the host's call until it knows that the result is there.
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
  const double once_us = std::max(1.0, times_of(stream, 1, [&](int32_t) { launch(1 % n_buffers); }).front());
  std::vector<double> us = device_times(stream, n_buffers, once_us, launch);
  return {.median_us = quantile(us, 0.5),
          .low_us = quantile(us, 0.1),
          .high_us = quantile(us, 0.9),
          .launch_us = launch_inclusive_us(stream, n_buffers, once_us, launch)};
}

/// The device's arrays of one timed shape; K and V several times over.
class TimedCall {
 public:
  TimedCall(Runtime& runtime, const Rung& rung, const gpu::AttendShape& s)
      : rung_(rung), stream_(runtime.stream()) {
    const auto element = static_cast<int64_t>(size_of(s.kv_dtype));
    const int64_t n_rows = s.n_blocks * s.n_kv_heads * s.block_len, kv_bytes = n_rows * s.head_dim * element,
                  scales = n_rows * scale_bytes(s.kv_dtype), l2 = properties().l2CacheSize;
    n_buffers_ = (kTimesL2 * l2 + 2 * kv_bytes - 1) / (2 * kv_bytes);  // one alone, where it is so large
    const std::vector<std::byte>& rows = random_rows(s.kv_dtype);
    const std::vector<float> scale(1 << 18, 0.02f);
    for (int64_t i = 0; i < n_buffers_; ++i)
      for (auto* all : {&k_, &v_}) {
        all->push_back(bytes_on(runtime, kv_bytes));
        fill(runtime, all->back(), rows.data(), static_cast<int64_t>(rows.size()));
      }
    scales_ = bytes_on(runtime, n_buffers_ * 2 * scales);
    fill(runtime, scales_, scale.data(), static_cast<int64_t>(scale.size() * sizeof(float)));

    std::vector<int32_t> q_start, kv_len(static_cast<size_t>(s.n_seqs), s.max_kv_len), seq_of_token, tables;
    for (int32_t i = 0; i <= s.n_seqs; ++i) q_start.push_back(i * s.max_q_len);
    for (int32_t i = 0; i < s.n_seqs; ++i) seq_of_token.insert(seq_of_token.end(), s.max_q_len, i);
    for (int64_t b = 0; b < s.n_blocks; ++b) tables.push_back(static_cast<int32_t>(b));
    Random random(2);  // paged: blocks anywhere in memory, as after a while of serving
    for (int64_t b = s.n_blocks - 1; b > 0; --b) std::swap(tables[b], tables[random.below(b + 1)]);
    for (const std::vector<int32_t>& array : {q_start, kv_len, seq_of_token, tables}) {
      const auto bytes = static_cast<int64_t>(array.size() * sizeof(int32_t));
      arrays_.push_back(bytes_on(runtime, bytes));
      runtime.to_device(arrays_.back().view().raw(), array.data(), bytes);
    }
    const int64_t n_out = int64_t{s.n_tokens} * s.n_q_heads * s.head_dim;
    const std::vector<std::byte>& q = random_rows(DType::f32);
    q_ = bytes_on(runtime, 4 * n_out), out_ = bytes_on(runtime, 4 * n_out);
    lse_ = bytes_on(runtime, int64_t{4} * s.n_tokens * s.n_q_heads);
    scratch_ = bytes_on(runtime, 4 * rung.scratch_elems(s));
    fill(runtime, q_, q.data(), static_cast<int64_t>(q.size()));
    LASTROW_CUDA(cudaStreamSynchronize(stream_));

    const auto ints = [&](size_t i) { return static_cast<const int32_t*>(arrays_[i].view().raw()); };
    call_ = {.shape = s,
             .spec = {1 / std::sqrt(static_cast<float>(s.head_dim)), {}},
             .q = static_cast<const float*>(q_.view().raw()),
             .k = nullptr,
             .v = nullptr,
             .k_scales = nullptr,
             .v_scales = nullptr,
             .q_start = ints(0),
             .kv_len = ints(1),
             .seq_of_token = ints(2),
             .block_tables = ints(3),
             .out = static_cast<float*>(out_.view().raw()),
             .lse = static_cast<float*>(lse_.view().raw()),
             .scratch = static_cast<float*>(scratch_.view().raw())};
    scale_elems_ = scales / 4;
  }

  int64_t n_buffers() const { return n_buffers_; }
  void launch(int64_t i) {
    call_.k = k_[i].view().raw(), call_.v = v_[i].view().raw();
    if (scale_elems_ > 0) {
      call_.k_scales = static_cast<const float*>(scales_.view().raw()) + 2 * i * scale_elems_;
      call_.v_scales = call_.k_scales + scale_elems_;
    }
    rung_.launch(call_, stream_);
  }

 private:
  const Rung& rung_;
  Stream stream_;
  int64_t n_buffers_ = 0, scale_elems_ = 0;
  std::vector<Tensor> k_, v_, arrays_;
  Tensor scales_, q_, out_, lse_, scratch_;
  gpu::AttendCall call_{};
};

}  // namespace

driver::DeviceInfo device_info(const Runtime&) {
  int driver = 0;
  LASTROW_CUDA(cudaDriverGetVersion(&driver));
  return {"cuda", properties().name, version(driver), version(CUDART_VERSION)};
}

driver::Bandwidth measure_bandwidth(Runtime& runtime) {
  const cudaDeviceProp p = properties();
  const int64_t bytes = std::max<int64_t>(int64_t{1} << 30, kTimesL2 * p.l2CacheSize);
  Tensor from = bytes_on(runtime, bytes), to = bytes_on(runtime, bytes), sum = bytes_on(runtime, 16);
  LASTROW_CUDA(cudaMemsetAsync(from.view().raw(), 1, static_cast<size_t>(bytes), runtime.stream()));
  double read_us = std::numeric_limits<double>::infinity();
  for (const int32_t blocks : {1, 2, 4, 8, 16}) {  // a multiprocessor: the fastest is the roof
    const auto read = [&](int64_t) {
      start_read_all(from.view().raw(), bytes, static_cast<uint32_t*>(sum.view().raw()),
                     blocks * p.multiProcessorCount, runtime.stream());
    };
    read_us = std::min(read_us, time_calls(runtime.stream(), 1, read).median_us);
  }
  const auto copy = [&](int64_t) { runtime.on_device(to.view().raw(), from.view().raw(), bytes); };
  const double gb = static_cast<double>(bytes) / 1e9;
  return {.read = gb / read_us * 1e6, .copy = 2 * gb / time_calls(runtime.stream(), 1, copy).median_us * 1e6};
}

/// This thread's launches during its life.
class LaunchNotes {
 public:
  LaunchNotes() { note_launches(&notes); }
  ~LaunchNotes() { note_launches(nullptr); }
  LaunchNotes(const LaunchNotes&) = delete;
  LaunchNotes& operator=(const LaunchNotes&) = delete;
  std::vector<LaunchNote> notes;
};

driver::Timing time_rung(Runtime& runtime, const Rung& rung, const gpu::AttendShape& shape) {
  TimedCall call(runtime, rung, shape);
  LaunchNote attends{};
  {
    LaunchNotes noted;
    call.launch(0);
    if (!noted.notes.empty()) attends = noted.notes.front();
  }
  driver::Timing t = time_calls(runtime.stream(), call.n_buffers(), [&](int64_t i) { call.launch(i); });
  t.registers = attends.registers, t.shared_bytes = attends.shared_bytes;
  return t;
}

}  // namespace lastrow::cuda
