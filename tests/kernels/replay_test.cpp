// Sessions whose decode steps the device records and replays: they do so, and the results do not change.
// Which records are kept, and how long: step_records_test.cpp.
#include <doctest/doctest.h>

#include "session/session.h"
#include "tests/kernels/small_model.h"

namespace lastrow {
namespace {

/// Stands between a session and its device. It counts how often a step's operations are called, and can
/// forbid replays or throw at the attend of layer 1.
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
  void run(const Op& op) override {
    if (std::holds_alternative<Attend>(op) && site_of(op).layer == 1 && fails)
      throw CapacityError("out of memory in a test");
    ForwardingBackend::run(op);
  }

  DeviceBackend device{{}, 1};
  int n_replay_calls = 0, n_ops_calls = 0;
  bool forbidden = false, fails = false;
};

struct WatchedSession {
  explicit WatchedSession(SessionOptions options = {}, int32_t prompt_len = 5) {
    auto made = std::make_unique<Watched>();
    backend = made.get();
    session.emplace(small_model(), std::move(made), std::move(options));
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

/// Expects the same step, token, logits (to the bit), counts and kernel.
void expect_same(const DecodeSession& a, const DecodeSession& b) {
  CHECK(a.current_step() == b.current_step());
  CHECK(a.next_token() == b.next_token());
  CHECK(std::equal(a.logits().begin(), a.logits().end(), b.logits().begin(), b.logits().end()));
  CHECK(same_counts(a.record(), b.record()));
  CHECK(a.backend_info().attend_kernel == b.backend_info().attend_kernel);
}

void expect_same_row(const DecodeSession& a, const DecodeSession& b, int32_t index,
                     RowKind kind = RowKind::v) {
  const Tensor row = a.stored_row(1, kind, index), expected = b.stored_row(1, kind, index);
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
      WatchedSession replays({.cache = {.dtype_k = dtype, .dtype_v = dtype}}, prompt_len),
          forbids({.cache = {.dtype_k = dtype, .dtype_v = dtype}}, prompt_len);
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

/// K as int8-channel: a step that fills a block seals an earlier one, and has a record of its own.
TEST_CASE("steps that seal blocks of K are replayed by themselves, and seal their own blocks") {
  const SessionOptions options{
      .cache = {.kind = "paged", .block_len = 4, .dtype_k = DType::i8_channel, .dtype_v = DType::i8}};
  WatchedSession replays(options), forbids(options);
  forbids.backend->forbidden = true;
  for (int i = 0; i < 2 + 22; ++i) {  // the prompt is fed in chunks of 4 and 1
    replays.session->advance();
    forbids.session->advance();
    expect_same(*replays.session, *forbids.session);
  }
  CHECK(replays.session->backend_info().attend_kernel == "k13");
  for (int32_t index = 0; index < 27; ++index)
    expect_same_row(*replays.session, *forbids.session, index, RowKind::k);
  CHECK(replays.backend->n_ops_calls ==
        4);  // two records; five of the 22 steps seal a block: of 8, 12, … 24 rows
  CHECK(replays.n_replayed() == 22 - 4);
  for (WatchedSession* each : {&replays, &forbids}) {
    each->session->go_to(6);
    for (int i = 0; i < 10; ++i) each->session->advance();
  }
  expect_same(*replays.session, *forbids.session);
  CHECK(replays.backend->n_ops_calls == 4);
}

TEST_CASE("stepping back and forth replays too, and shows the same") {
  WatchedSession s({}, 20), fresh({}, 20);  // so long that the prefill takes another kernel
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

TEST_CASE("prefills, steps without a cache and traced steps are not replayed") {
  WatchedSession recompute({.mode = Mode::recompute}), traced({.record = RecordOptions{}});
  for (int i = 0; i < 5; ++i) {
    recompute.session->advance();
    traced.session->advance();
  }
  CHECK(recompute.backend->n_replay_calls == 0);
  CHECK(traced.backend->n_replay_calls == 0);
  CHECK(traced.n_replayed() == 0);
}

TEST_CASE("only the steps in which a poke is in force are not replayed") {
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
  for (WatchedSession* each : {&replays, &forbids}) each->session->advance();  // step 6; the poke is in 5
  expect_same(*replays.session, *forbids.session);
  CHECK(replays.n_replayed() == before + 1);
  poke.when = Poke::When::since;
  poke_both();
  for (WatchedSession* each : {&replays, &forbids}) each->session->advance();
  expect_same(*replays.session, *forbids.session);
  CHECK(replays.session->poke_report(0).reads == 1);
  CHECK(replays.n_replayed() == before + 1);
}

TEST_CASE("a step that fails while it is recorded leaves the session intact, and the next one is recorded") {
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
    expect_same_row(*s.session, *undisturbed.session, 4);  // a kernel fetches the row, so the device works
    for (int i = 0; i < 4; ++i) {
      s.session->advance();
      undisturbed.session->advance();
      expect_same(*s.session, *undisturbed.session);
    }
    CHECK(s.n_replayed() == 3);
  }
}

}  // namespace lastrow
