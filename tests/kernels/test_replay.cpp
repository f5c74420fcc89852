// Decode steps that the device has recorded and runs again: that they do, that nothing shows it but the time,
// and that no record outlives what it uses.
#include <doctest/doctest.h>

#include "gpu/backend/device_backend.h"
#include "session/session.h"

namespace lastrow {
namespace {

using emulated::DeviceBackend;

const char* const kModel = "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,ffn=32,vocab=40,context=300";

std::shared_ptr<const Model> model() {
  static const auto loaded = load_model(kModel);
  return loaded;
}

gpu::DeviceOptions one_thread() {
  gpu::DeviceOptions options;
  options.n_threads = 1;
  return options;
}

/// Between a session and its device: counts how often a step's operations are called, forbids replays, or
/// throws at the attend of layer 1.
class Watched final : public ForwardingBackend {
 public:
  Watched() : ForwardingBackend(device) {}
  void replay(int64_t key, FunctionRef<void()> ops) override {
    ++n_replay_calls;
    const auto counted = [&] {
      ++n_ops_calls;
      ops();
    };
    if (forbidden)
      counted();
    else
      device.replay(key, counted);
  }
  void attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
              const AttendSpec& spec, TensorView out, TensorView lse) override {
    if (site.layer == 1 && fails) throw CapacityError("out of memory in a test");
    ForwardingBackend::attend(site, q, storage, batch, spec, out, lse);
  }

  DeviceBackend device{one_thread()};
  int n_replay_calls = 0, n_ops_calls = 0;
  bool forbidden = false, fails = false;
};

struct WatchedSession {
  explicit WatchedSession(SessionOptions options = {}, int32_t prompt_len = 5) {
    auto made = std::make_unique<Watched>();
    backend = made.get();
    session.emplace(model(), std::move(made), std::move(options));
    session->start(std::vector<int32_t>(static_cast<size_t>(prompt_len), 7));
  }
  int64_t n_replayed() const { return session->backend_info().n_replayed; }

  Watched* backend = nullptr;
  std::optional<DecodeSession> session;
};

bool same_counts(StepRecord a, StepRecord b) {
  a.wall_us = b.wall_us = 0;
  return a.position == b.position && a.q_len == b.q_len && a.kv_len == b.kv_len && a.q_rows == b.q_rows &&
         a.kv_rows_projected == b.kv_rows_projected && a.score_cells == b.score_cells &&
         a.cache_bytes_read == b.cache_bytes_read && a.cache_bytes_written == b.cache_bytes_written &&
         a.weight_bytes == b.weight_bytes && a.flop == b.flop;
}

/// Same step, token, logits to the bit, counts, and kernel.
void expect_same(const DecodeSession& a, const DecodeSession& b) {
  CHECK(a.current_step() == b.current_step());
  CHECK(a.next_token() == b.next_token());
  CHECK(std::equal(a.logits().begin(), a.logits().end(), b.logits().begin(), b.logits().end()));
  CHECK(same_counts(a.record(), b.record()));
  CHECK(a.backend_info().attend_kernel == b.backend_info().attend_kernel);
}

void expect_same_row(const DecodeSession& a, const DecodeSession& b, int32_t index) {
  const Tensor row = a.stored_row(1, RowKind::v, index), expected = b.stored_row(1, RowKind::v, index);
  CHECK(std::equal(row.data<float>(), row.data<float>() + row.size(), expected.data<float>()));
}

}  // namespace

TEST_CASE("of ten decode steps the first is run, the second is recorded, and eight are replayed") {
  WatchedSession s;
  s.session->advance();  // the prefill
  CHECK(s.backend->n_replay_calls == 0);
  for (int i = 0; i < 10; ++i) s.session->advance();
  CHECK(s.backend->n_replay_calls == 10);
  CHECK(s.backend->n_ops_calls == 2);
  CHECK(s.n_replayed() == 8);
}

TEST_CASE("a replayed generation has the tokens, logits, counts and kernels of one that never replays") {
  for (const DType dtype : {DType::f32, DType::bf16, DType::i8})
    for (const int32_t prompt_len : {5, 122}) {  // the second passes the bound of 128 keys
      CAPTURE(name_of(dtype));
      CAPTURE(prompt_len);
      WatchedSession replays({.kv_dtype = dtype}, prompt_len), forbids({.kv_dtype = dtype}, prompt_len);
      forbids.backend->forbidden = true;
      for (int i = 0; i < 16; ++i) {
        replays.session->advance();
        forbids.session->advance();
        expect_same(*replays.session, *forbids.session);
      }
      CHECK(replays.n_replayed() == (prompt_len == 5 ? 13 : 11));
      CHECK(forbids.n_replayed() == 0);
      expect_same_row(*replays.session, *forbids.session, prompt_len + 10);
    }
}

TEST_CASE("going back and forth replays too, and shows what it showed") {
  WatchedSession s({}, 20), fresh({}, 20);  // long enough for the prefill to take another kernel
  fresh.backend->forbidden = true;
  for (int i = 0; i < 8; ++i) s.session->advance();
  for (int i = 0; i < 4; ++i) fresh.session->advance();
  s.session->go_to(0);
  s.session->go_to(3);
  expect_same(*s.session, *fresh.session);
  CHECK(s.backend->n_ops_calls == 2);
}

TEST_CASE("a context that passes a power of two is recorded anew") {
  WatchedSession s({}, 126);
  s.session->advance();
  for (int i = 0; i < 6; ++i) s.session->advance();  // 127, 128 keys; then 129 … 132
  CHECK(s.backend->n_ops_calls == 4);
  CHECK(s.n_replayed() == 2);
}

TEST_CASE("neither a prefill, nor a step without a cache, nor a traced one is replayed") {
  WatchedSession recompute({.mode = Mode::recompute}), traced({.record = RecordOptions{}});
  for (int i = 0; i < 5; ++i) {
    recompute.session->advance();
    traced.session->advance();
  }
  CHECK(recompute.backend->n_replay_calls == 0);
  CHECK(traced.backend->n_replay_calls == 0);
  CHECK(traced.n_replayed() == 0);
}

TEST_CASE("a poke keeps the steps in which it is in force from being replayed, and no others") {
  WatchedSession replays, forbids;
  forbids.backend->forbidden = true;
  for (WatchedSession* each : {&replays, &forbids})
    for (int i = 0; i < 6; ++i) each->session->advance();
  const int64_t before = replays.n_replayed();
  Poke poke{.what = Poke::What::k, .layer = 1, .position = 2, .seed = 3, .when = Poke::When::now, .step = 5};
  const auto poke_both = [&] {
    for (WatchedSession* each : {&replays, &forbids}) each->session->set_pokes({poke});
    CHECK(replays.session->poke_report(0).reads == forbids.session->poke_report(0).reads);
    expect_same(*replays.session, *forbids.session);
  };
  poke_both();
  CHECK(replays.session->poke_report(0).reads == 1);
  CHECK(replays.n_replayed() == before);
  for (WatchedSession* each : {&replays, &forbids}) each->session->advance();  // step 6: the poke is of 5
  expect_same(*replays.session, *forbids.session);
  CHECK(replays.n_replayed() == before + 1);
  poke.when = Poke::When::since;
  poke_both();
  for (WatchedSession* each : {&replays, &forbids}) each->session->advance();
  expect_same(*replays.session, *forbids.session);
  CHECK(replays.session->poke_report(0).reads == 1);
  CHECK(replays.n_replayed() == before + 1);
}

TEST_CASE("a step that fails while it is recorded leaves the session whole, and the next one is recorded") {
  for (const bool by_stop : {false, true}) {
    CAPTURE(by_stop);
    std::atomic<bool> stop = false;
    WatchedSession s({.stop = &stop}), undisturbed;
    for (WatchedSession* each : {&s, &undisturbed})
      for (int i = 0; i < 2; ++i) each->session->advance();
    s.backend->fails = !by_stop;
    stop = by_stop;
    if (by_stop)
      CHECK_THROWS_AS(s.session->advance(), Cancelled);
    else
      CHECK_THROWS_WITH_AS(s.session->advance(), "out of memory in a test", CapacityError);
    s.backend->fails = stop = false;
    expect_same(*s.session, *undisturbed.session);
    expect_same_row(*s.session, *undisturbed.session, 4);  // fetched by a kernel: the device runs again
    for (int i = 0; i < 4; ++i) {
      s.session->advance();
      undisturbed.session->advance();
      expect_same(*s.session, *undisturbed.session);
    }
    CHECK(s.n_replayed() == 3);
  }
}

namespace {

/// A decoder's step by hand, so that its parts can be destroyed one by one.
struct ByHand {
  explicit ByHand(int32_t n_seqs = 2) : cache(CacheSpec::contiguous(2, 2, 8, 300, n_seqs)) {
    make_storage();
    make_workspace();
  }
  void make_storage() { storage = backend.make_storage(cache.spec()); }
  void make_workspace() { workspace = std::make_unique<Workspace>(decoder.config(), backend, 64, 2); }
  /// A token more of each of the first n sequences; returns how often its operations were called.
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
  DeviceBackend backend{one_thread()};
  Decoder decoder{*model(), backend};
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

TEST_CASE("other sizes, other rows of logits and another key are other records; the old ones stay") {
  ByHand s;
  expect_recorded_anew(s, 2);  // the largest first: what it needs of scratch is enough for all
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
  s.decoder = Decoder(*model(), s.backend);
  expect_recorded_anew(s, 1);
}

TEST_CASE("two storages have a record each, and what is made and freed later disturbs neither") {
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

TEST_CASE("a step whose arrays outgrow their place drops the records that read them there") {
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

TEST_CASE("the number of records is bounded, and the ones used last are kept") {
  ByHand s;
  constexpr auto kMost = static_cast<int64_t>(emulated::StepRecords::kMost);
  expect_recorded_anew(s, 1, 0);
  for (int64_t key = 1; key < kMost; ++key) expect_recorded_anew(s, 1, key);
  CHECK(s.step(1, 0) == 0);
  expect_recorded_anew(s, 1, kMost);  // one too many: key 1 goes
  CHECK(s.step(1, 0) == 0);
  CHECK(s.step(1, 2) == 0);
  expect_recorded_anew(s, 1, 1);
}

TEST_CASE("what a record cannot hold is refused while it is made, and a step can still be recorded") {
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
  auto backend = std::make_unique<DeviceBackend>(one_thread());
  Tensor tensor = backend->make_tensor({10});
  const auto storage = backend->make_storage(CacheSpec::contiguous(1, 1, 8, 4));
  backend.reset();
  tensor.data<float>()[9] = 1;
}

}  // namespace lastrow
