#include "cost/roofline.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/tensor.h"

namespace lastrow {
namespace {

using Clock = std::chrono::steady_clock;

void require_threads(int n_threads, int rounds) {
  if (n_threads < 1 || n_threads > 1024 || rounds < 1)
    throw ShapeError("{} threads, {} rounds: need 1 to 1024 threads and at least 1 round", n_threads, rounds);
}

/// Starts threads 1 … n − 1 of a measurement. They wait until all of them exist. If one cannot be started,
/// the others end without running, and CapacityError says which one is missing.
/// (Fewer threads would measure something else.)
template <typename Run>
std::vector<std::jthread> start_others(int n_threads, const Run& run) {
  enum class Word : int { wait, go, go_home };
  const auto word = std::make_shared<std::atomic<Word>>(Word::wait);
  const auto say = [&](Word what) {
    word->store(what);
    word->notify_all();
  };
  std::vector<std::jthread> others;
  others.reserve(static_cast<size_t>(n_threads));
  try {
    for (int thread = 1; thread < n_threads; ++thread)
      others.emplace_back([&run, word, thread] {
        word->wait(Word::wait);
        if (word->load() == Word::go) run(thread);
      });
  } catch (const std::system_error& e) {
    say(Word::go_home);
    throw CapacityError("thread {} of {} cannot be started ({}): measure with fewer threads",
                        others.size() + 2, n_threads, e.code().message());
  }
  say(Word::go);
  return others;
}

/// Calls work(thread) on n_threads threads at once: one round to warm up, then `rounds` more. Returns the
/// shortest wall time of a round in seconds. `work` must not throw.
template <typename Work>
double fastest_round_seconds(int n_threads, int rounds, const Work& work) {
  std::barrier gate(n_threads);
  double best = std::numeric_limits<double>::infinity();
  const auto run = [&](int thread) {
    for (int round = 0; round <= rounds; ++round) {
      gate.arrive_and_wait();
      const auto begin = Clock::now();
      work(thread);
      gate.arrive_and_wait();
      if (thread == 0 && round > 0)
        best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
    }
  };
  const std::vector<std::jthread> others = start_others(n_threads, run);
  run(0);
  return best;
}

/// Takes results that are not used, so that the compiler does not remove the work.
std::atomic<uint64_t> g_sink;

uint64_t xor_words(const uint64_t* words, int64_t n) {
  uint64_t x = 0;
  for (int64_t i = 0; i < n; ++i) x ^= words[i];
  return x;
}

/// A vector of the width that the compiler may use. Its lanes stay in registers.
#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
typedef float Vector __attribute__((vector_size(kVectorBytes)));
constexpr int kChains = 10;  // independent sums: 4 cycles of latency × 2 units need 8, and 2 are spare

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
Vector multiply_add(Vector a, Vector b, Vector c) {
  Vector out;
  for (size_t lane = 0; lane < kVectorBytes / sizeof(float); ++lane)
    out[lane] = std::fma(a[lane], b[lane], c[lane]);
  return out;
}
#else
Vector multiply_add(Vector a, Vector b, Vector c) { return a * b + c; }
#endif

/// Makes `steps` multiply-adds on one vector per index I. The factors are arguments, so that the compiler
/// cannot compute the result in advance. The indices are constants, so that the vectors stay in registers.
template <size_t... I>
float multiply_add_chains(int64_t steps, float factor, float addend, std::index_sequence<I...>) {
  Vector sum[] = {Vector{} + static_cast<float>(I)...};
  const Vector f = Vector{} + factor, a = Vector{} + addend;
  for (int64_t step = 0; step < steps; ++step) ((sum[I] = multiply_add(sum[I], f, a)), ...);
  const Vector total = (sum[I] + ...);
  return total[0];
}

}  // namespace

double intensity(const OpCost& cost) {
  if (cost.bytes() == 0) return cost.flop == 0 ? 0.0 : std::numeric_limits<double>::infinity();
  return static_cast<double>(cost.flop) / static_cast<double>(cost.bytes());
}

double Roofline::attainable_gflops(double flop_per_byte) const {
  return std::min(peak_gflops, read_gbps * flop_per_byte);
}

double Roofline::least_seconds(const OpCost& cost) const {
  return std::max(static_cast<double>(cost.flop) / (peak_gflops * 1e9),
                  static_cast<double>(cost.bytes()) / (read_gbps * 1e9));
}

double measure_read_bandwidth_gbps(int64_t bytes, int n_threads, int rounds, int passes) {
  require_threads(n_threads, rounds);
  if (passes < 1) throw ShapeError("{} passes over the buffer: give at least 1", passes);
  if (bytes / n_threads < 4096)
    throw ShapeError("a buffer of {} bytes for {} threads: give at least 4096 bytes per thread", bytes,
                     n_threads);
  const int64_t words = bytes / n_threads / static_cast<int64_t>(sizeof(uint64_t));  // per thread
  const size_t total = static_cast<size_t>(words * n_threads) * sizeof(uint64_t);
  const std::unique_ptr<void, FreeFrom> buffer(Memory::host().allocate(total), FreeFrom{&Memory::host()});
  // Write it once, so that each page is real memory instead of the shared page of zeros.
  std::memset(buffer.get(), 0x5A, total);
  const auto* data = static_cast<const uint64_t*>(buffer.get());
  const double seconds = fastest_round_seconds(n_threads, rounds, [&](int thread) {
    for (int pass = 0; pass < passes; ++pass) g_sink ^= xor_words(data + thread * words, words);
  });
  return static_cast<double>(total) * passes / seconds / 1e9;
}

double measure_peak_f32_gflops(int n_threads, int rounds) {
  require_threads(n_threads, rounds);
  constexpr int64_t kSteps = 500'000;
  const volatile float factor = 0.999f, addend = 0.001f;
  const double seconds = fastest_round_seconds(n_threads, rounds, [&](int) {
    g_sink ^= static_cast<uint64_t>(
        multiply_add_chains(kSteps, factor, addend, std::make_index_sequence<kChains>()));
  });
  const double flop =
      2.0 * static_cast<double>(kSteps) * kChains * (kVectorBytes / sizeof(float)) * n_threads;
  return flop / seconds / 1e9;
}

}  // namespace lastrow
