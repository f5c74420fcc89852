// The cost of a step and of attention on this machine. tests/bench/README.md says how to run and read it.
//
//   step/MODE/P        one decode step of a `random:` model after P tokens, with the cache and without
//   generate/MODEL     tokens per second of a built-in model with the cache
//   attend/BACKEND/N   one query of each head against N cached rows, in GB/s of K and V; between the
//                      rounds the same machine reads a plain buffer of the same size
//   roof/eigen/H/N     H query heads on one thread against N rows: processor time, compared with a plain read
//   types/eigen/N      one thread against N rows of each stored type, compared with f32
//   channels/eigen/N   the same for K with a scale per channel, in blocks that are full and sealed
//   paged/eigen/N      the same against rows in blocks of 16, compared with contiguous rows
//   batch/eigen        decode steps of a batch of 8 sequences, compared with those of one sequence
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "cache/contiguous_cache.h"
#include "cache/make_cache.h"
#include "cache/slots.h"
#include "core/function_ref.h"
#include "core/random.h"
#include "cost/roofline.h"
#include "judge/attend_case.h"
#include "model/decoder.h"
#include "model/model.h"
#include "ops/append.h"
#include "ops/seal_keys.h"
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

/// The attention of one layer of Llama-3 8B, with another number of query heads if wanted.
struct FullAttendSizes {
  int32_t kv_len;
  int32_t block_len = 0;  // 0: one block, as in a contiguous cache. Else the blocks are in a random order
  int32_t n_q_heads = 32;
  DType dtype = DType::f32;
};

/// Storage of one layer for one sequence, full of rows, and the plan of a token that sees all of them.
struct FullCache {
  static constexpr int32_t kKvHeads = 8, kHeadDim = 128;

  FullCache(Backend& backend, FullAttendSizes sizes)
      : layout(judge::lay_out({.n_q_heads = sizes.n_q_heads,
                               .n_kv_heads = kKvHeads,
                               .head_dim = kHeadDim,
                               .sequences = {{1, sizes.kv_len}},
                               .block_len = sizes.block_len,
                               .block_order = 1,
                               .kv_dtype = sizes.dtype})),
        storage(backend.make_storage(layout.spec)) {
    constexpr int32_t kRows = 128;  // any numbers of about size 1 will do, so these are used again and again
    Tensor rows = Tensor::host(DType::f32, {kRows, kKvHeads, kHeadDim});
    uint32_t x = 1;
    for (int64_t i = 0; i < rows.size(); ++i) {
      x = x * 1664525u + 1013904223u;
      rows.data<float>()[i] = static_cast<float>(x >> 8) * 0x1p-23f - 1.0f;
    }
    for (int32_t begin = 0; begin < sizes.kv_len; begin += kRows) {
      const std::vector<int64_t> slots =
          slots_of(layout.plan, 0, begin, std::min(begin + kRows, sizes.kv_len));
      for (const RowKind kind : {RowKind::k, RowKind::v})
        backend.write_rows(*storage, 0, kind, slots, rows.view().rows(0, std::ssize(slots)));
    }
  }
  judge::Layout layout;
  std::unique_ptr<KvStorage> storage;
};

/// One query of each head against a full cache.
struct FullAttend {
  FullAttend(Backend& b, FullAttendSizes sizes)
      : backend(b),
        full(b, sizes),
        shape{1, sizes.n_q_heads, FullCache::kHeadDim},
        q(b.upload(judge::random_tensor(shape, 2).view())) {}
  void run() {
    const Batch& batch = backend.begin_step(full.layout.plan, *full.storage);
    backend.run(Attend{{0, "attend"}, q.view(), *full.storage, batch, kSpec, out.view(), lse.view()});
  }

  static constexpr AttendSpec kSpec{.score = {.scale = 0.088388348f}, .mask = {}};
  Backend& backend;
  FullCache full;
  Shape shape;
  Tensor q, out = backend.make_tensor(shape), lse = backend.make_tensor({1, shape[1]});
};

double seconds_of(FunctionRef<void()> work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> x) {
  std::nth_element(x.begin(), x.begin() + std::ssize(x) / 2, x.end());
  return x[x.size() / 2];
}

/// Each iteration times one attend, then one pass over a plain buffer of
/// the same size by the same number of threads.
void attend(benchmark::State& state, const std::string& backend_name) {
  const auto backend = make_backend(backend_name);
  FullAttend one(*backend, {.kv_len = static_cast<int32_t>(state.range(0))});
  one.run();  // wakes the threads and touches the pages
  const int64_t bytes = one.full.storage->bytes();
  double attend_gbps = 0, read_gbps = 0;  // best of the rounds, because other programs only slow them down
  for (auto _ : state) {
    const double seconds = seconds_of([&] { one.run(); });
    state.SetIterationTime(seconds);
    attend_gbps = std::max(attend_gbps, static_cast<double>(bytes) / seconds / 1e9);
    read_gbps =
        std::max(read_gbps, measure_read_bandwidth_gbps(bytes, backend->info().n_threads, /*rounds=*/1));
  }
  state.counters["MB"] = static_cast<double>(bytes) / 1e6;
  state.counters["threads"] = static_cast<double>(backend->info().n_threads);
  state.counters["kv_GB/s"] = attend_gbps;
  state.counters["read_GB/s"] = read_gbps;
  state.counters["of_read"] = attend_gbps / read_gbps;
}

/// Seconds of one thread, by the wall and by the processor. Other programs disturb the second less.
struct Times {
  std::vector<double> wall, processor;
  /// Repeats the work n times, for one time that is the mean of them.
  void time(FunctionRef<void()> work, int64_t n = 1) {
    const std::clock_t start = std::clock();
    const double seconds = seconds_of([&] {
      for (int64_t i = 0; i < n; ++i) work();
    });
    wall.push_back(seconds / static_cast<double>(n));
    processor.push_back(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC / static_cast<double>(n));
  }
};

/// Each iteration times attend of one thread, then a plain read of as many bytes. What fits a cache of the processor
/// is attended, and read, many times in a row: so both find it there, and the time is not shorter than the clock's tick.
void roof(benchmark::State& state) {
  const auto backend = make_backend("eigen", 1);
  FullAttend one(*backend, {.kv_len = static_cast<int32_t>(state.range(1)),
                            .n_q_heads = static_cast<int32_t>(state.range(0))});
  const int64_t bytes = one.full.storage->bytes();
  Tensor plain = Tensor::host(DType::i64, {bytes / 8});  // the same kind of memory, and written once
  std::fill_n(plain.data<int64_t>(), plain.size(), 1);
  const std::span<const int64_t> words(std::as_const(plain).data<int64_t>(),
                                       static_cast<size_t>(plain.size()));
  const auto attend_once = [&] { one.run(); };
  const auto read_once = [&] {
    int64_t x = 0;
    for (const int64_t word : words) x ^= word;
    benchmark::DoNotOptimize(x);
  };
  const int64_t n_passes = std::max<int64_t>(1, 64'000'000 / bytes);
  Times attended, read;
  for (auto _ : state) {
    attend_once();
    attended.time(attend_once, n_passes);
    state.SetIterationTime(attended.wall.back());
    read_once();
    read.time(read_once, n_passes);
  }
  const double gigabytes = static_cast<double>(bytes) / 1e9, seconds = median(attended.processor);
  const double flop = 4.0 * static_cast<double>(state.range(0) * state.range(1)) * FullCache::kHeadDim;
  const double peak = measure_peak_f32_gflops(1) * 1e9;
  state.counters["MB"] = gigabytes * 1e3;
  state.counters["kv_GB/s"] = gigabytes / seconds;
  state.counters["read_GB/s"] = gigabytes / median(read.processor);
  state.counters["of_read"] = median(read.processor) / seconds;
  state.counters["of_read_wall"] = median(read.wall) / median(attended.wall);
  state.counters["of_peak"] = flop / peak / seconds;
}

/// Each iteration times one attend of one thread over each stored type. The counters are how many times as fast
/// as f32 a type is.
void types(benchmark::State& state) {
  constexpr DType kTypes[] = {DType::f32,      DType::f16,  DType::bf16, DType::i8,
                              DType::fp8_e4m3, DType::i4x2, DType::fp4x2};
  const auto backend = make_backend("eigen", 1);
  std::vector<std::unique_ptr<FullAttend>> all;
  for (const DType dtype : kTypes) {
    all.push_back(std::make_unique<FullAttend>(
        *backend, FullAttendSizes{.kv_len = static_cast<int32_t>(state.range(0)), .dtype = dtype}));
    all.back()->run();
  }
  std::vector<Times> times(std::size(kTypes));
  for (auto _ : state) {
    for (size_t i = 0; i < all.size(); ++i) times[i].time([&] { all[i]->run(); });
    state.SetIterationTime(times[0].wall.back());
  }
  state.counters["f32_us"] = median(times[0].processor) * 1e6;
  for (size_t i = 1; i < all.size(); ++i)
    state.counters[std::string(kv_dtype_name(kTypes[i]))] =
        median(times[0].processor) / median(times[i].processor);
}

/// One layer of a paged cache, filled by steps of a block, and one query of each head. K may be int8-channel.
struct PagedAttend {
  static constexpr int32_t kBlockLen = 16, kQueryHeads = 32;

  PagedAttend(Backend& b, int32_t kv_len, KvDtypes dtypes)
      : backend(b),
        cache(make_cache({.kind = "paged", .block_len = kBlockLen, .dtype_k = dtypes.k, .dtype_v = dtypes.v},
                         {.n_layers = 1,
                          .n_kv_heads = FullCache::kKvHeads,
                          .head_dim = FullCache::kHeadDim,
                          .max_seq_len = kv_len,
                          .longest_step = kBlockLen})),
        storage(backend.make_storage(cache->spec())),
        q(backend.upload(judge::random_tensor({1, kQueryHeads, FullCache::kHeadDim}, 2).view())) {
    const Shape rows = {kBlockLen, FullCache::kKvHeads, FullCache::kHeadDim};
    const Tensor k = backend.upload(judge::random_tensor(rows, 3).view()),
                 v = backend.upload(judge::random_tensor(rows, 4).view());
    const std::vector<int32_t> tokens(kBlockLen, 1);
    const auto feed = [&](int32_t n) -> const StepPlan& {
      const SequenceInput input{0, std::span(tokens).first(static_cast<size_t>(n)), LogitRows::none};
      const StepPlan& step = cache->plan({&input, 1});
      const Batch& batch = backend.begin_step(step, *storage);
      backend.run(Append{{0, "append"}, k.view().rows(0, n), v.view().rows(0, n), batch, *storage});
      return step;
    };
    for (int32_t n = kBlockLen; n < kv_len; n += kBlockLen) {
      const StepPlan& step = feed(kBlockLen);
      if (!step.seals.empty())
        backend.run(SealKeys{{0, "seal_keys"}, backend.begin_step(step, *storage), *storage});
      cache->commit(step);
    }
    plan = feed(1);
  }
  void run() {
    const Batch& batch = backend.begin_step(plan, *storage);
    backend.run(Attend{{0, "attend"}, q.view(), *storage, batch, FullAttend::kSpec, out.view(), lse.view()});
  }

  Backend& backend;
  std::unique_ptr<KvCache> cache;
  std::unique_ptr<KvStorage> storage;
  StepPlan plan;
  Tensor q, out = backend.make_tensor({1, kQueryHeads, FullCache::kHeadDim}),
            lse = backend.make_tensor({1, kQueryHeads});
};

/// Each iteration times one attend of one thread over K and V in f32, in int8, and with K in int8-channel.
void channels(benchmark::State& state) {
  const auto backend = make_backend("eigen", 1);
  const auto kv_len = static_cast<int32_t>(state.range(0));
  PagedAttend f32(*backend, kv_len, {}), int8(*backend, kv_len, {DType::i8, DType::i8}),
      channel(*backend, kv_len, {DType::i8_channel, DType::i8});
  f32.run(), int8.run(), channel.run();
  Times of_f32, of_int8, of_channel;
  for (auto _ : state) {
    of_f32.time([&] { f32.run(); });
    of_int8.time([&] { int8.run(); });
    of_channel.time([&] { channel.run(); });
    state.SetIterationTime(of_channel.wall.back());
  }
  state.counters["f32_us"] = median(of_f32.processor) * 1e6;
  state.counters["int8"] = median(of_f32.processor) / median(of_int8.processor);
  state.counters["int8-channel"] = median(of_f32.processor) / median(of_channel.processor);
}

/// Each iteration times one attend over contiguous rows, then one over the same number of rows in blocks of
/// 16 in a random order, on one thread.
void paged(benchmark::State& state) {
  const auto backend = make_backend("eigen", 1);
  const auto kv_len = static_cast<int32_t>(state.range(0));
  FullAttend contiguous(*backend, {.kv_len = kv_len}),
      in_blocks(*backend, {.kv_len = kv_len, .block_len = 16});
  contiguous.run(), in_blocks.run();
  Times in_one, paged_times;
  for (auto _ : state) {
    in_one.time([&] { contiguous.run(); });
    paged_times.time([&] { in_blocks.run(); });
    state.SetIterationTime(paged_times.wall.back());
  }
  state.counters["contiguous_us"] = median(in_one.wall) * 1e6;
  state.counters["paged_us"] = median(paged_times.wall) * 1e6;
  state.counters["ratio"] = median(paged_times.wall) / median(in_one.wall);
  state.counters["cpu_ratio"] = median(paged_times.processor) / median(in_one.processor);
}

/// Decodes with a model whose weights are larger than the caches of most processors (weights_MB). Steps of
/// one sequence and steps of eight alternate.
void batch(benchmark::State& state) {
  constexpr int32_t kSeqs = 8, kPast = 32;
  constexpr const char* kModel = "random:layers=12,q_heads=16,kv_heads=4,head_dim=64,context=1024";
  const std::shared_ptr<const Model> model = load_model(kModel);
  const ModelConfig& c = model->config();
  const auto backend = make_backend("eigen");
  const Decoder decoder(*model, *backend);
  Workspace workspace(c, *backend, kSeqs * kPast, kSeqs);
  ContiguousCache cache(CacheSpec::contiguous(c.n_layers, c.n_kv_heads, c.head_dim, c.max_seq_len, kSeqs));
  const auto storage = backend->make_storage(cache.spec());
  const auto step = [&](int32_t n_seqs, const std::vector<int32_t>& tokens) {
    std::vector<SequenceInput> inputs;
    for (int32_t i = 0; i < n_seqs; ++i) inputs.push_back({i, tokens, LogitRows::last});
    const StepPlan& plan = cache.plan(inputs);
    decoder.forward(*backend, backend->begin_step(plan, *storage), *storage, workspace);
    return &plan;
  };
  cache.commit(*step(kSeqs, any_tokens(kPast, c.vocab_size)));
  const std::vector<int32_t> next = any_tokens(1, c.vocab_size);
  std::vector<double> one, eight;
  for (auto _ : state) {
    one.push_back(seconds_of([&] { cache.abort(*step(1, next)); }));
    eight.push_back(seconds_of([&] { cache.abort(*step(kSeqs, next)); }));
    state.SetIterationTime(eight.back());
  }
  state.counters["weights_MB"] = static_cast<double>(Decoder::bytes(c, DType::f32)) / 1e6;
  state.counters["one_tokens/s"] = 1 / median(one);
  state.counters["batch_tokens/s"] = kSeqs / median(eight);
  state.counters["ratio"] = kSeqs * median(one) / median(eight);
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
  for (const int64_t n_q_heads : {8, 32})
    for (const int64_t kv_len : {128, 1024, 8192, 32768, 131072})
      benchmark::RegisterBenchmark("roof/eigen", roof)
          ->Args({n_q_heads, kv_len})
          ->Unit(benchmark::kMicrosecond)
          ->Iterations(kv_len <= 8192 ? 51 : 11)
          ->UseManualTime();
  for (const int64_t kv_len : {128, 8192, 65536})
    benchmark::RegisterBenchmark("types/eigen", types)
        ->Arg(kv_len)
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(kv_len <= 8192 ? 51 : 11)
        ->UseManualTime();
  for (const int64_t kv_len : {8192, 65536})
    benchmark::RegisterBenchmark("channels/eigen", channels)
        ->Arg(kv_len)
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(kv_len <= 8192 ? 51 : 11)
        ->UseManualTime();
  for (const int64_t kv_len : {128, 4096})
    benchmark::RegisterBenchmark("paged/eigen", paged)
        ->Arg(kv_len)
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(50)
        ->UseManualTime();
  benchmark::RegisterBenchmark("batch/eigen", batch)
      ->Unit(benchmark::kMillisecond)
      ->Iterations(15)
      ->UseManualTime();
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
