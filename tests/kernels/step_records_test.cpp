// Records of decode steps: which steps share a record, and that no record outlives the memory that it uses.
#include <doctest/doctest.h>

#include "cache/contiguous_cache.h"
#include "model/decoder.h"
#include "tests/kernels/small_model.h"

namespace lastrow {
namespace {

/// A decoder's step, put together by hand so that its parts can be destroyed one by one.
struct ByHand {
  explicit ByHand(int32_t n_seqs = 2) : cache(CacheSpec::contiguous(2, 2, 8, 300, n_seqs)) {
    make_storage();
    make_workspace();
  }
  void make_storage() { storage = backend.make_storage(cache.spec()); }
  void make_workspace() { workspace = std::make_unique<Workspace>(decoder.config(), backend, 64, 2); }
  /// One more token for each of the first n sequences. Returns how often its operations were called.
  int step(int32_t n_seqs, int64_t key = 1, LogitRows rows = LogitRows::last) {
    std::vector<SequenceInput> inputs;
    for (int32_t i = 0; i < n_seqs; ++i) inputs.push_back({i, {&kToken, 1}, rows});
    const StepPlan& plan = cache.plan(inputs);
    const Batch& batch = backend.begin_step(plan, *storage);
    int n_calls = 0;
    backend.replay(key, [&] {
      ++n_calls;
      decoder.forward(backend, batch, *storage, *workspace);
    });
    cache.commit(plan);
    return n_calls;
  }

  static constexpr int32_t kToken = 3;
  DeviceBackend backend{{}, 1};
  Decoder decoder{*small_model(), backend};
  ContiguousCache cache;
  std::unique_ptr<KvStorage> storage;
  std::unique_ptr<Workspace> workspace;
};

/// Run, recorded, replayed.
void expect_recorded_anew(ByHand& s, int32_t n_seqs, int64_t key = 1, LogitRows rows = LogitRows::last) {
  CHECK(s.step(n_seqs, key, rows) == 1);
  CHECK(s.step(n_seqs, key, rows) == 1);
  CHECK(s.step(n_seqs, key, rows) == 0);
}

}  // namespace

TEST_CASE("other sizes, other rows of logits or another key make another record; old records stay") {
  ByHand s;
  expect_recorded_anew(s, 2);  // the largest first, so its scratch is enough for all
  expect_recorded_anew(s, 1);
  expect_recorded_anew(s, 2, 1, LogitRows::none);
  expect_recorded_anew(s, 2, 5);
  CHECK(s.step(1) == 0);
  CHECK(s.step(2) == 0);
  CHECK(s.step(2, 1, LogitRows::none) == 0);
}

TEST_CASE("a record is never run once its storage, its workspace or a weight is gone") {
  ByHand s;
  expect_recorded_anew(s, 1);
  s.storage.reset();
  s.make_storage();  // most likely at the same address, and of the same sizes
  expect_recorded_anew(s, 1);
  s.workspace.reset();
  s.make_workspace();
  expect_recorded_anew(s, 1);
  s.decoder = Decoder(*small_model(), s.backend);
  expect_recorded_anew(s, 1);
}

TEST_CASE("two storages have one record each, and later allocations and frees do not drop them") {
  ByHand s;
  expect_recorded_anew(s, 1);
  auto other = s.backend.make_storage(s.cache.spec());
  std::swap(s.storage, other);
  expect_recorded_anew(s, 1);
  std::swap(s.storage, other);
  CHECK(s.step(1) == 0);
  const Tensor looked_at = s.backend.make_tensor({1000});
  std::vector<float> row(16);
  const int64_t slot = 0;
  s.backend.read_rows(*s.storage, 0, RowKind::k, {&slot, 1}, TensorView(row.data(), {1, 2, 8}));
  CHECK(s.step(1) == 0);
  other.reset();
  CHECK(s.step(1) == 0);  // recorded before the other storage was made
}

TEST_CASE("if the arrays of a step grow and move, the records that used their old place are dropped") {
  ByHand s;
  expect_recorded_anew(s, 1);
  const std::vector<int32_t> prompt(60, 3);
  const SequenceInput input{1, prompt, LogitRows::last};
  const StepPlan& plan = s.cache.plan({&input, 1});
  const Batch& batch = s.backend.begin_step(plan, *s.storage);
  s.decoder.forward(s.backend, batch, *s.storage, *s.workspace);
  s.cache.commit(plan);
  expect_recorded_anew(s, 1);
}

TEST_CASE("the number of records is bounded, and the most recently used ones are kept") {
  ByHand s;
  constexpr auto kMost = static_cast<int64_t>(emulated::StepRecords::kMost);
  expect_recorded_anew(s, 1, 0);
  for (int64_t key = 1; key < kMost; ++key) expect_recorded_anew(s, 1, key);
  CHECK(s.step(1, 0) == 0);
  expect_recorded_anew(s, 1, kMost);  // one too many, so key 1 is dropped
  CHECK(s.step(1, 0) == 0);
  CHECK(s.step(1, 2) == 0);
  expect_recorded_anew(s, 1, 1);
}

TEST_CASE("a recording refuses what it cannot hold, and later a step can still be recorded") {
  ByHand s;
  CHECK(s.step(1) == 1);
  const SequenceInput input{0, {&ByHand::kToken, 1}, LogitRows::last};
  const StepPlan& plan = s.cache.plan({&input, 1});
  s.backend.begin_step(plan, *s.storage);
  float x = 0;
  const auto refused = [&](FunctionRef<void()> ops, const char* what) {
    CHECK_THROWS_WITH_AS(s.backend.replay(1, ops), doctest::Contains(what), UsageError);
  };
  refused([&] { (void)s.backend.make_tensor({4}); }, "a tensor was asked for while a step is recorded");
  refused(
      [&] {
        s.backend.download(s.workspace->logits.view().rows(0, 1), TensorView(&x, {1, 40}));
      },
      "a download was asked for");
  refused([&] { s.backend.write(ConstTensorView(&x, {1}), TensorView(&x, {1})); }, "a write");
  refused([&] { s.backend.begin_step(plan, *s.storage); }, "a step was asked for");
  refused([&] { (void)s.backend.make_storage(s.cache.spec()); }, "storage");
  s.cache.abort(plan);
  CHECK(s.step(1) == 1);
  CHECK(s.step(1) == 0);
}

TEST_CASE("tensors may outlive their backend") {
  auto backend = std::make_unique<DeviceBackend>(gpu::DeviceOptions{}, 1);
  Tensor tensor = backend->make_tensor({10});
  const auto storage = backend->make_storage(CacheSpec::contiguous(1, 1, 8, 4));
  backend.reset();
  tensor.data<float>()[9] = 1;
}

}  // namespace lastrow
