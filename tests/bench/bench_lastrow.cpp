// The cost of a step and of attention on this machine. tests/bench/README.md says how to run and read it.
//
//   step/MODE/P        one decode step of a `random:` model after P tokens, with the cache and without
//   generate/MODEL     tokens per second of a built-in model with the cache
//   attend/BACKEND/N   one query of each head against N cached rows, in GB/s of K and V; between the
//                      rounds the same machine reads a plain buffer of the same size
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cache/contiguous_cache.h"
#include "core/random.h"
#include "cost/roofline.h"
#include "judge/random_tensor.h"
#include "model/model.h"
#include "registry/registry.h"
#include "session/session.h"

using namespace lastrow;

namespace {

constexpr const char* kStepModel = "random:layers=4,q_heads=8,kv_heads=2,head_dim=64,context=1025";

std::vector<int32_t> any_tokens(int64_t n, int32_t vocab_size) {
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  Random random(1);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random.below(vocab_size));
  return tokens;
}

/// Repeats the step after state.range(0) tokens: with the cache it computes one row, without it all rows.
void step(benchmark::State& state, Mode mode) {
  static const std::shared_ptr<const Model> model = load_model(kStepModel);
  DecodeSession session(model, make_backend("eigen"), {.mode = mode, .sampling = {}, .record = {}});
  session.start(any_tokens(state.range(0), model->config().vocab_size));
  session.advance();
  session.advance();
  for (auto _ : state) session.go_to(1);
  const StepRecord& record = session.record();
  state.counters["rows"] = static_cast<double>(record.q_len);
  state.counters["GFlop/s"] = benchmark::Counter(static_cast<double>(record.flop) / 1e9,
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

void generate(benchmark::State& state, const std::string& name) {
  constexpr int kTokens = 200;
  const auto model = load_model(name);
  DecodeSession session(model, make_backend("eigen"), {.mode = Mode::cached, .sampling = {}, .record = {}});
  const std::vector<int32_t> prompt = model->tokenizer().encode("the quick brown fox");
  for (auto _ : state) {
    session.start(prompt);
    for (int i = 0; i < kTokens; ++i) session.advance();
  }
  state.counters["tokens/s"] = benchmark::Counter(kTokens, benchmark::Counter::kIsIterationInvariantRate);
}

/// A full cache of one layer and one sequence, and the plan of a token that sees all of it.
struct FullCache {
  static constexpr int32_t kQHeads = 32, kKvHeads = 8, kHeadDim = 128;  // as in Llama-3 8B

  FullCache(Backend& backend, int32_t kv_len)
      : cache(CacheSpec::contiguous(1, kKvHeads, kHeadDim, kv_len)),
        storage(backend.make_storage(cache.spec())) {
    uint32_t x = 1;
    for (const RowKind kind : {RowKind::k, RowKind::v}) {
      const TensorView rows = storage->rows(0, kind);
      float* elems = rows.data<float>();
      for (int64_t i = 0; i < rows.size(); ++i) {
        x = x * 1664525u + 1013904223u;  // any numbers of about size 1 will do
        elems[i] = static_cast<float>(x >> 8) * 0x1p-23f - 1.0f;
      }
    }
    const std::vector<int32_t> past(static_cast<size_t>(kv_len - 1), 0), last = {0};
    const SequenceInput all_but_one{0, past, LogitRows::none}, one{0, last, LogitRows::none};
    if (kv_len > 1) cache.commit(cache.plan({&all_but_one, 1}));
    plan = cache.plan({&one, 1});
  }
  ContiguousCache cache;
  std::unique_ptr<KvStorage> storage;
  StepPlan plan;
};

/// Each iteration times one attend, then one pass over a plain buffer of the same size by the same number of
/// threads.
void attend(benchmark::State& state, const std::string& backend_name) {
  const auto backend = make_backend(backend_name);
  FullCache full(*backend, static_cast<int32_t>(state.range(0)));
  const Shape shape{1, FullCache::kQHeads, FullCache::kHeadDim};
  const Tensor q = backend->upload(judge::random_tensor(shape, 2).view());
  Tensor out = backend->make_tensor(shape), lse = backend->make_tensor({1, FullCache::kQHeads});
  const Batch& batch = backend->begin_step(full.plan, *full.storage);
  const AttendSpec spec{.scale = 0.088388348f, .mask = {}};
  const auto run = [&] {
    backend->run(Attend{{0, "attend"}, q.view(), *full.storage, batch, spec, out.view(), lse.view()});
  };

  run();  // wakes the threads and touches the pages
  const int64_t bytes = full.storage->bytes();
  double attend_gbps = 0, read_gbps = 0;  // best of the rounds, because other programs only slow them down
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(seconds.count());
    attend_gbps = std::max(attend_gbps, static_cast<double>(bytes) / seconds.count() / 1e9);
    read_gbps =
        std::max(read_gbps, measure_read_bandwidth_gbps(bytes, backend->info().n_threads, /*rounds=*/1));
  }
  state.counters["MB"] = static_cast<double>(bytes) / 1e6;
  state.counters["threads"] = static_cast<double>(backend->info().n_threads);
  state.counters["kv_GB/s"] = attend_gbps;
  state.counters["read_GB/s"] = read_gbps;
  state.counters["of_read"] = attend_gbps / read_gbps;
}

void add_benchmarks() {
  for (const Mode mode : {Mode::cached, Mode::recompute})
    for (const int64_t n_past : {16, 64, 256, 512, 1023})
      benchmark::RegisterBenchmark(fmt::format("step/{}", name_of(mode)).c_str(),
                                   [mode](benchmark::State& state) { step(state, mode); })
          ->Arg(n_past)
          ->Unit(benchmark::kMicrosecond)
          ->MeasureProcessCPUTime()
          ->UseRealTime();
  for (const std::string& name : builtin_model_names())
    benchmark::RegisterBenchmark(("generate/" + name).c_str(),
                                 [name](benchmark::State& state) { generate(state, name); })
        ->Unit(benchmark::kMillisecond)
        ->MeasureProcessCPUTime()
        ->UseRealTime();
  const auto add_attend = [](const char* backend, int64_t kv_len, int64_t rounds) {
    benchmark::RegisterBenchmark(fmt::format("attend/{}", backend).c_str(),
                                 [backend](benchmark::State& state) { attend(state, backend); })
        ->Arg(kv_len)
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(rounds)
        ->UseManualTime();
  };
  for (const int64_t kv_len : {128, 1024, 8192, 65536}) add_attend("eigen", kv_len, 15);
  for (const int64_t kv_len : {128, 1024, 8192}) add_attend("naive", kv_len, 5);
}

}  // namespace

int main(int argc, char** argv) {
  add_benchmarks();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
