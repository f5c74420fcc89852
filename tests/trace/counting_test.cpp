// Compares the counts with formulas, written here from the sizes, and with counts by hand.
#include <doctest/doctest.h>

#include <cstdlib>
#include <new>

#include "cache/contiguous_cache.h"
#include "model/decoder.h"
#include "tests/trace/tiny.h"
#include "trace/counting.h"

using namespace lastrow;
using namespace lastrow::test;

// Every allocation of the program calls these functions, so that a test can check that there were none.
namespace {
int64_t n_allocations = 0;
}
void* operator new(std::size_t size) {
  ++n_allocations;
  if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++n_allocations;
  return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

constexpr int64_t kLayers = 3, kQHeads = 4, kKvHeads = 2, kHeadDim = 8, kDim = 32, kFfn = 48, kVocab = 50;
const char* kModel = "random:layers=3,q_heads=4,kv_heads=2,head_dim=8,ffn=48,vocab=50,context=32,seed=1";

/// With `replays`, a replay does not call the step's operations.
class Replaying final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void replay(int64_t, FunctionRef<void()> ops) override {
    if (!replays) ops();
  }
  bool replays = false;
};

struct Fixture {
  std::shared_ptr<const Model> model = random_model(kModel);
  NaiveBackend<float> naive;
  Replaying replaying{naive};
  CountingBackend counting{replaying};
  Decoder decoder{*model, counting};
  Workspace workspace{model->config(), counting, 32, 1};
  ContiguousCache cache{CacheSpec::contiguous(kLayers, kKvHeads, kHeadDim, 32)};
  std::unique_ptr<KvStorage> storage = counting.make_storage(cache.spec());

  StepCounts step(int32_t n_tokens, bool through_replay = false) {
    const std::array<int32_t, 32> tokens{};
    const SequenceInput input{0, {tokens.data(), static_cast<size_t>(n_tokens)}, LogitRows::last};
    const StepPlan& plan = cache.plan({&input, 1});
    counting.reset();
    const Batch& batch = counting.begin_step(plan, *storage);
    const auto forward = [&] { decoder.forward(counting, batch, *storage, workspace); };
    if (through_replay)
      counting.replay(1, forward);
    else
      forward();
    cache.commit(plan);
    return counting.counts();
  }
};

}  // namespace

TEST_CASE("by hand: 2 rows through a 3 by 4 matrix are 48 flop and 48 bytes of weights") {
  NaiveBackend<float> naive;
  CountingBackend counting(naive);
  const Tensor x = random_tensor({2, 4}, 1), w = random_tensor({3, 4}, 2);
  Tensor y = Tensor::host(DType::f32, {2, 3});
  counting.run(Linear{{0, site::kQProj}, x.view(), w.view(), {}, y.view()});
  CHECK(counting.counts().cost.flop == 2 * 2 * 3 * 4);
  CHECK(counting.counts().cost.weight_bytes == 3 * 4 * 4);
  CHECK(counting.counts().q_rows == 2);
  CHECK(counting.counts().kv_rows_projected == 0);
  CHECK(counting.counts().n_ops == 1);
  counting.reset();
  CHECK(counting.counts() == StepCounts{});
}

TEST_CASE("a prefill of p tokens and a decode behind it, by formula") {
  Fixture f;
  const int64_t p = 7;
  const StepCounts prefill = f.step(7), decode = f.step(1);

  CHECK(prefill.q_rows == p * kLayers);
  CHECK(prefill.kv_rows_projected == p * kLayers);
  CHECK(prefill.score_cells == kLayers * kQHeads * p * (p + 1) / 2);
  const int64_t row_bytes = kKvHeads * kHeadDim * 4;
  CHECK(prefill.cost.cache_bytes_written == kLayers * 2 * p * row_bytes);
  CHECK(prefill.cost.cache_bytes_read == kLayers * 2 * p * row_bytes);

  CHECK(decode.q_rows == kLayers);
  CHECK(decode.kv_rows_projected == kLayers);
  CHECK(decode.score_cells == kLayers * kQHeads * (p + 1));
  CHECK(decode.cost.cache_bytes_written == kLayers * 2 * row_bytes);
  CHECK(decode.cost.cache_bytes_read == kLayers * 2 * (p + 1) * row_bytes);

  // Decode, one row: matrices, then attention, then the rest (norms, RoPE, SwiGLU, adds).
  const int64_t layer_weights = kDim * kDim * 2 + 2 * kKvHeads * kHeadDim * kDim + 3 * kDim * kFfn;
  const int64_t norms = (2 * kLayers + 1) * (4 * kDim + 4);
  const int64_t small = kLayers * (3 * (kQHeads + kKvHeads) * kHeadDim + 4 * kFfn + 2 * kDim);
  CHECK(decode.cost.flop ==
        2 * (kLayers * layer_weights + kVocab * kDim) + 4 * kHeadDim * decode.score_cells + norms + small);
  const int64_t norm_weights = (2 * kLayers + 1) * kDim;
  CHECK(decode.cost.weight_bytes == 4 * (kLayers * layer_weights + norm_weights + kVocab * kDim +
                                         kDim));  // the last term: one embedding row
}

TEST_CASE("a window bounds cells and bytes read") {
  NaiveBackend<float> naive;
  CountingBackend counting(naive);
  Tiny tiny(naive, {.n_layers = 1});
  tiny.step(counting, 10);
  counting.reset();
  tiny.step(counting, 2, false, {{.scale = 0.35f}, {.causal = true, .window = 3}});
  CHECK(counting.counts().score_cells == 4 * (3 + 3));
  CHECK(counting.counts().cost.cache_bytes_read == 2 * 4 * 2 * 8 * 4);  // rows 8 … 11
}

TEST_CASE("block copies and overwritten rows are cache traffic") {
  NaiveBackend<float> naive;
  CountingBackend counting(naive);
  auto storage = counting.make_storage(CacheSpec::contiguous(2, 2, 8, 4, /*n_seqs=*/2));
  const BlockCopy copy{0, 1};
  counting.copy_blocks(*storage, {&copy, 1});
  const int64_t block_bytes = 2 * 2 * 4 * 2 * 8 * 4;  // K and V · layers · slots · heads · width · f32
  CHECK(counting.counts().cost.cache_bytes_read == block_bytes);
  CHECK(counting.counts().cost.cache_bytes_written == block_bytes);
  counting.reset();
  const int64_t slot = 1;
  counting.write_rows(*storage, 0, RowKind::k, {&slot, 1}, random_tensor({1, 2, 8}, 1).view());
  CHECK(counting.counts().cost.cache_bytes_written == 2 * 8 * 4);
}

TEST_CASE("a step through replay counts the same, whether its operations are called inside or not") {
  Fixture run, through, replayed;
  replayed.replaying.replays = true;
  for (int i = 0; i < 3; ++i) {
    const StepCounts expected = run.step(1);
    CHECK(through.step(1, true) == expected);
    CHECK(replayed.step(1, true) == expected);
  }
  const auto stored = [](Fixture& f) { return f.storage->rows(2, RowKind::v).data<float>()[0]; };
  CHECK(stored(through) == stored(run));
}

TEST_CASE("a steady decode step through the counter allocates nothing") {
  for (const bool through_replay : {false, true}) {
    Fixture f;
    f.step(4);
    f.step(1, through_replay);
    const int64_t before = n_allocations;
    f.step(1, through_replay);
    CHECK(n_allocations == before);
  }
}
