// Calls that fail, are stopped or are not kept: afterwards nothing has changed, on both sides of a twin.
#include <doctest/doctest.h>

#include <functional>

#include "backend/eigen.h"
#include "session/saved_cache.h"
#include "session/session_cache.h"
#include "session/transaction.h"
#include "session/twin.h"
#include "support/aborts.h"
#include "tests/session/texts.h"

using namespace lastrow;
using namespace lastrow::test;
using lastrow::testing::aborts;

namespace {

/// At an attend of the given layer, it calls `then` or fails. With layer = kLayers it calls `then` at the
/// download. With read_only, write_rows fails.
class Disturbance final : public ForwardingBackend {
 public:
  Disturbance() : ForwardingBackend(owned_) {}
  void run(const Op& op) override {
    const bool here = std::holds_alternative<Attend>(op) && site_of(op).layer == layer && skip-- <= 0;
    if (here && then) then();
    if (here && fails) throw CapacityError("out of memory in a test");
    ForwardingBackend::run(op);
  }
  void download(ConstTensorView from, TensorView host) override {
    if (layer == kLayers && then) then();
    ForwardingBackend::download(from, host);
  }
  void write_rows(KvStorage& storage, int32_t at, RowKind kind, std::span<const int64_t> slots,
                  ConstTensorView host) override {
    if (read_only || (n_writes >= 0 && n_writes-- == 0)) throw CapacityError("the device is gone in a test");
    ForwardingBackend::write_rows(storage, at, kind, slots, host);
  }

  int32_t layer = 1, skip = 0;  // the first `skip` attends of the layer run as usual
  std::function<void()> then;
  bool fails = false, read_only = false;
  int32_t n_writes = -1;  // write_rows fails after so many calls; −1: it does not

 private:
  EigenBackend owned_{2};
};

/// A session whose calls can be made to fail, or to be stopped, while they run.
struct Disturbed {
  explicit Disturbed(Mode mode, std::optional<RecordOptions> record = {}, int32_t chunk = 0,
                     CacheOptions cache = {}) {
    auto made = std::make_unique<Disturbance>();
    backend = made.get();
    const bool alternates = cache.kind == "window" && cache.window == 0;  // the window of the model
    session.emplace(load_model(std::string(kModel) + (alternates ? ",window=4,window_period=2" : "")),
                    std::move(made),
                    SessionOptions{.mode = mode,
                                   .sampling = {},
                                   .chunk = chunk,
                                   .record = std::move(record),
                                   .cache = std::move(cache),
                                   .stop = &stop});
    session->start(kPrompt);
  }
  /// Checks that the disturbed call throws.
  template <typename Call>
  void fails_in(bool by_stop, int32_t skip, Call call) {
    backend->skip = skip;
    backend->fails = !by_stop;
    backend->then = by_stop ? std::function<void()>([this] { stop = true; }) : nullptr;
    if (by_stop)
      CHECK_THROWS_AS(call(), Cancelled);
    else
      CHECK_THROWS_AS(call(), CapacityError);
    stop = false;
    backend->fails = false;
    backend->then = nullptr;
  }

  std::atomic<bool> stop = false;
  Disturbance* backend = nullptr;
  std::optional<DecodeSession> session;
};

/// Everything that a session returns for its current step.
struct Shown {
  std::vector<int64_t> numbers;
  std::vector<float> values;
  bool operator==(const Shown&) const = default;

  void add(ConstTensorView view) {
    std::vector<float> floats(static_cast<size_t>(view.size()));
    if (!view.empty()) convert(view, TensorView(floats.data(), view.shape()));
    values.insert(values.end(), floats.begin(), floats.end());
    numbers.push_back(view.size());
  }
};

void add_recording(Shown& shown, const Recorder& recorder) {
  for (const int32_t step : recorder.steps()) {
    shown.numbers.insert(shown.numbers.end(), {step, static_cast<int64_t>(recorder.events(step).size())});
    for (const Event& event : recorder.events(step))
      shown.values.push_back(static_cast<float>(event.start_us));
    for (const Recorder::Entry& entry : recorder.entries(step)) shown.add(entry.tensor.view());
    for (const LayerTensors& layer : recorder.tensors(step).layers) {
      shown.add(layer.k);
      shown.add(layer.v);
    }
  }
  shown.numbers.push_back(recorder.bytes());
}

Shown shown_by(const DecodeSession& s) {
  Shown shown;
  const StepRecord& r = s.record();
  shown.numbers = {s.current_step(), s.last_step(), s.next_token(), r.position, r.q_len, r.kv_len, r.flop};
  shown.numbers.insert(shown.numbers.end(), s.tokens().begin(), s.tokens().end());
  shown.values.assign(s.logits().begin(), s.logits().end());
  shown.values.push_back(static_cast<float>(r.wall_us));
  for (size_t i = 0; i < s.pokes().size(); ++i)
    shown.numbers.insert(shown.numbers.end(),
                         {s.pokes()[i].position, s.poke_report(i).changed, s.poke_report(i).reads});
  if (!forgets_rows(s.options().cache)) CHECK(s.kv_len() == s.n_tokens_at(s.current_step()));
  shown.numbers.push_back(s.cache().usage().rows_evicted);
  for (int32_t index = 0; index < s.kv_len(); ++index) {
    shown.numbers.insert(shown.numbers.end(), {s.slot(index), s.position_of(index)});
    if (s.mode() == Mode::recompute) continue;
    for (int32_t layer = 0; layer < kLayers; ++layer)
      for (const RowKind kind : {RowKind::k, RowKind::v}) {
        if (index >= s.cache().of_layer(layer).length(0)) continue;  // a windowed layer has forgotten some
        const Tensor row = s.stored_row(layer, kind, index);
        shown.add(row.view());
      }
  }
  CHECK_THROWS_AS((void)s.slot(s.kv_len()), UsageError);
  add_recording(shown, s.recorder());
  return shown;
}

Poke poke(Poke::What what, int32_t position, Poke::When when, int32_t step = 0) {
  return {.what = what, .layer = 1, .position = position, .seed = 7, .when = when, .step = step};
}

RecordOptions record(RecordOptions::Keep keep) {
  RecordOptions options;
  options.keep = keep;
  options.probe = true;
  return options;
}

}  // namespace

TEST_CASE("a call that throws changes nothing, to the last bit") {
  using Keep = RecordOptions::Keep;
  const std::vector<Poke> pokes = {poke(Poke::What::k, 6, Poke::When::since),
                                   poke(Poke::What::q, 8, Poke::When::now, 4)};
  for (const Mode mode : {Mode::cached, Mode::recompute})
    for (const Keep keep : {Keep::latest, Keep::all})
      for (const bool by_stop : {false, true})
        for (const int32_t skip : {0, 1}) {  // in the first or in the second step that runs
          CAPTURE(name_of(mode));
          CAPTURE(by_stop);
          CAPTURE(skip);
          Disturbed undisturbed(mode, record(keep)), disturbed(mode, record(keep));
          DecodeSession& s = *disturbed.session;
          for (DecodeSession* each : {&*undisturbed.session, &s}) {
            for (int i = 0; i < 6; ++i) each->advance();
            each->go_to(4);
            each->set_pokes(pokes);
          }
          const Shown before = shown_by(s);
          const auto check_fails = [&](auto call) {
            disturbed.fails_in(by_stop, skip, call);
            CHECK(shown_by(s) == before);
            if (mode == Mode::recompute)
              CHECK_THROWS_WITH_AS((void)s.stored_row(0, RowKind::k, 0), doctest::Contains("go_to(4)"),
                                   UsageError);
          };
          if (skip == 0) {  // calls that run one step
            check_fails([&] { s.advance(); });
            check_fails([&] { s.advance((s.next_token() + 1) % 50); });  // other tokens: the old ones stay
            check_fails([&] { s.go_to(0); });
            check_fails([&] { s.go_to(2); });
            check_fails([&] { s.set_pokes({poke(Poke::What::v, 8, Poke::When::now, 4)}); });
          }
          if (mode == Mode::cached || skip == 0) {  // calls that run several steps with the cache
            check_fails([&] { s.set_pokes({}); });
            check_fails([&] { s.set_pokes({poke(Poke::What::v, 1, Poke::When::since)}); });
          }
          s.advance();
          undisturbed.session->advance();
          CHECK(std::equal(s.logits().begin(), s.logits().end(), undisturbed.session->logits().begin()));
          CHECK(s.last_step() == undisturbed.session->last_step());
          CHECK_NOTHROW((void)s.stored_row(0, RowKind::k, 0));
        }
}

TEST_CASE("a call that throws changes nothing in a ring or a budget, whose slots later rows have taken") {
  const CacheOptions kRing{.kind = "window", .block_len = 2, .window = 4, .sinks = 1},
      kHeavy{.kind = "budget", .budget = 4, .eviction = Eviction::heavy},
      kAlternating{.kind = "window", .block_len = 2};
  const std::vector<Poke> pokes = {poke(Poke::What::k, 6, Poke::When::since)};
  for (const auto& [ring, by_stop] : {std::pair{kRing, false},
                                      {kRing, true},
                                      {kHeavy, false},
                                      {kHeavy, true},
                                      {kAlternating, false},
                                      {kAlternating, true}})
    for (const int32_t skip : {0, 1, 3}) {  // the step that fails, of those that run
      CAPTURE(by_stop);
      CAPTURE(skip);
      Disturbed undisturbed(Mode::cached, record(RecordOptions::Keep::latest), 2, ring),
          disturbed(Mode::cached, record(RecordOptions::Keep::latest), 2, ring);
      DecodeSession& s = *disturbed.session;
      for (DecodeSession* each : {&*undisturbed.session, &s}) {
        for (int i = 0; i < 20; ++i) each->advance();
        each->set_pokes(pokes);
      }
      const auto check_fails = [&](auto call) {
        const Shown before = shown_by(s);
        disturbed.fails_in(by_stop, skip, call);
        CHECK(shown_by(s) == before);
      };
      if (skip == 0) check_fails([&] { s.advance(); });
      check_fails([&] { s.go_to(12); });  // runs 13 steps from an empty cache
      check_fails([&] { s.set_pokes({}); });
      check_fails([&] { s.set_pokes({poke(Poke::What::v, 0, Poke::When::now, 19)}); });
      s.go_to(5);
      check_fails([&] { s.go_to(11); });  // runs 6 steps behind the held rows
      undisturbed.session->go_to(6);
      s.go_to(6);
      CHECK(std::equal(s.logits().begin(), s.logits().end(), undisturbed.session->logits().begin()));
      CHECK(s.last_step() == 19);
    }
}

TEST_CASE("if the rows of a ring cannot be written back, the next call computes them again") {
  Disturbed disturbed(Mode::cached, record(RecordOptions::Keep::latest), 2,
                      {.kind = "window", .block_len = 2, .window = 4, .sinks = 1});
  DecodeSession& s = *disturbed.session;
  for (int i = 0; i < 15; ++i) s.advance();
  const Shown before = shown_by(s);
  disturbed.backend->read_only = true;
  disturbed.fails_in(/*by_stop=*/false, 3, [&] { s.go_to(9); });
  disturbed.backend->read_only = false;
  CHECK(s.current_step() == 14);
  CHECK_THROWS_WITH_AS((void)s.stored_row(0, RowKind::k, 0), doctest::Contains("go_to(14)"), UsageError);
  s.go_to(14);
  CHECK(std::equal(s.logits().begin(), s.logits().end(), before.values.begin()));
  CHECK(s.kv_len() == 4);
}

TEST_CASE("a call that throws in the middle of a chunk or a turn changes nothing, in pages too") {
  const CacheOptions pages{.kind = "paged", .block_len = 3};
  const std::vector<int32_t> turn = {1, 2, 3, 4};
  for (const Mode mode : {Mode::cached, Mode::recompute})
    for (const CacheOptions& cache : {CacheOptions{}, pages})
      for (const bool by_stop : {false, true}) {
        CAPTURE(name_of(mode));
        CAPTURE(cache.kind);
        CAPTURE(by_stop);
        Disturbed disturbed(mode, record(RecordOptions::Keep::all), /*chunk=*/2, cache),
            undisturbed(mode, record(RecordOptions::Keep::all), /*chunk=*/2, cache);
        DecodeSession &s = *disturbed.session, &other = *undisturbed.session;
        disturbed.fails_in(by_stop, 0, [&] { s.advance(); });
        CHECK(s.current_step() == -1);
        CHECK(s.last_step() == -1);
        const auto check_fails = [&](int32_t skip, auto call) {
          const Shown before = shown_by(s);
          disturbed.fails_in(by_stop, skip, call);
          CHECK(shown_by(s) == before);
        };
        s.advance();
        other.advance();
        check_fails(0, [&] { s.advance(); });  // the second chunk
        for (int i = 0; i < 3; ++i) {          // the other chunks, a token
          s.advance();
          other.advance();
        }
        check_fails(0, [&] { s.advance(turn); });
        s.advance(turn);
        other.advance(turn);
        s.advance();
        other.advance();
        check_fails(0, [&] { s.go_to(1); });
        check_fails(0, [&] { s.go_to(4); });
        check_fails(0, [&] { s.set_pokes({poke(Poke::What::k, 3, Poke::When::since)}); });
        if (mode == Mode::cached) {  // several steps run, and a later one fails
          check_fails(1, [&] { s.set_pokes({poke(Poke::What::k, 3, Poke::When::since)}); });
          check_fails(3, [&] { s.set_pokes({poke(Poke::What::v, 0, Poke::When::since)}); });
        }
        s.go_to(3);
        other.go_to(3);
        check_fails(0, [&] { s.advance(turn); });  // the known turn
        check_fails(0, [&] { s.advance(std::vector<int32_t>{5, 6}); });
        s.advance(turn);
        other.advance(turn);
        CHECK(std::ranges::equal(s.logits(), other.logits()));
        CHECK(s.last_step() == other.last_step());
      }
}

TEST_CASE("a start from saved rows that fails changes nothing, or computes the lost rows again") {
  for (const int32_t n_writes : {0, 1, 3}) {  // so many of the 6 writes of rows succeed
    CAPTURE(n_writes);
    Disturbed disturbed(Mode::cached, record(RecordOptions::Keep::all), 0, {.kind = "paged", .block_len = 3}),
        source(Mode::cached);
    DecodeSession& s = *disturbed.session;
    source.session->advance();
    source.session->advance();
    const SavedCache saved = save_cache(*source.session);
    for (int i = 0; i < 4; ++i) s.advance();
    s.set_pokes({poke(Poke::What::k, 2, Poke::When::since)});
    const Shown before = shown_by(s);
    disturbed.backend->n_writes = n_writes;
    CHECK_THROWS_AS(s.start_from(saved, std::vector<int32_t>{1, 2}), CapacityError);
    disturbed.backend->n_writes = -1;
    CHECK(shown_by(s) == before);

    s.start_from(saved, std::vector<int32_t>{1, 2});
    s.advance();
    disturbed.backend->read_only = true;  // the rows cannot be put back either
    CHECK_THROWS_AS(s.start_from(saved, std::vector<int32_t>{3}), CapacityError);
    disturbed.backend->read_only = false;
    CHECK_THROWS_WITH_AS((void)s.stored_row(0, RowKind::k, 0), doctest::Contains("go_to(0)"), UsageError);
    CHECK_THROWS_WITH_AS(save_cache(s), doctest::Contains("go_to(0)"), UsageError);
    s.go_to(0);  // computes the loaded rows from their tokens
    CHECK(s.kv_len() == 8);
    Disturbed whole(Mode::cached);
    whole.session->start({s.tokens().begin(), s.tokens().end()});
    whole.session->advance();
    CHECK(std::ranges::equal(s.logits(), whole.session->logits()));
  }
}

TEST_CASE("a transaction that is not kept is undone, although nothing failed; one that is kept stays") {
  Disturbed disturbed(Mode::cached, record(RecordOptions::Keep::all));
  DecodeSession& s = *disturbed.session;
  for (int i = 0; i < 4; ++i) s.advance();
  s.go_to(2);
  const Shown before = shown_by(s);
  const auto check_undone = [&](auto call) {
    {
      DecodeSession::Transaction change(s);
      call(change);
    }
    CHECK(shown_by(s) == before);
  };
  check_undone([](DecodeSession::Transaction&) {});
  check_undone([](DecodeSession::Transaction& change) { change.advance(); });
  check_undone([&s](DecodeSession::Transaction& change) { change.advance((s.next_token() + 1) % 50); });
  check_undone([](DecodeSession::Transaction& change) { change.go_to(0); });
  check_undone([](DecodeSession::Transaction& change) {
    change.set_pokes({poke(Poke::What::k, 1, Poke::When::since)});
  });
  DecodeSession::Transaction change(s);
  change.advance();
  change.keep();
  CHECK(s.current_step() == 3);
}

TEST_CASE("one transaction at a time, for one call, and no start during it") {
  Disturbed disturbed(Mode::cached);
  DecodeSession& s = *disturbed.session;
  std::optional<DecodeSession::Transaction> change(std::in_place, s);
  CHECK(aborts([&] { s.advance(); }));
  CHECK(aborts([&] { s.start(kPrompt); }));
  change->set_pokes({});  // before the first step, so nothing runs
  CHECK(aborts([&] { change->set_pokes({}); }));
  change->keep();
  CHECK(aborts([&] { s.advance(); }));  // not before the transaction is destroyed
  change.reset();
  CHECK_NOTHROW(s.advance());
}

TEST_CASE("a first call that throws leaves a session that has not begun") {
  Disturbed disturbed(Mode::cached, record(RecordOptions::Keep::latest));
  DecodeSession& s = *disturbed.session;
  disturbed.fails_in(false, 0, [&] { s.advance(); });
  CHECK(s.current_step() == -1);
  CHECK(s.recorder().latest_step() == -1);
  CHECK_THROWS_AS((void)s.slot(0), UsageError);
  s.advance();
  CHECK(s.recorder().latest_step() == 0);
}

TEST_CASE("a restart forgets what was stored, also where its first call throws") {
  Disturbed disturbed(Mode::cached), fresh(Mode::cached);
  DecodeSession& s = *disturbed.session;
  for (int i = 0; i < 3; ++i) s.advance();
  CHECK_NOTHROW((void)s.slot(0));
  s.start({7, 8});  // shorter than before
  CHECK_THROWS_AS((void)s.slot(0), UsageError);
  disturbed.fails_in(false, 0, [&] { s.advance(); });
  CHECK(s.current_step() == -1);
  CHECK_THROWS_AS((void)s.slot(0), UsageError);
  s.advance();
  fresh.session->start({7, 8});
  fresh.session->advance();
  CHECK_THROWS_AS((void)s.slot(2), UsageError);
  CHECK(std::equal(s.logits().begin(), s.logits().end(), fresh.session->logits().begin()));
}

TEST_CASE("a restart forgets pokes and what was recorded") {
  Disturbed restarted(Mode::cached, record(RecordOptions::Keep::all)), fresh(Mode::cached);
  DecodeSession& s = *restarted.session;
  s.advance();
  s.set_pokes({poke(Poke::What::v, 1, Poke::When::since)});
  s.start(kPrompt);
  CHECK(s.pokes().empty());
  CHECK(s.recorder().latest_step() == -1);
  s.advance();
  fresh.session->advance();
  CHECK(std::equal(s.logits().begin(), s.logits().end(), fresh.session->logits().begin()));
}

TEST_CASE("if rows cannot be written back, stored_row says so, and the next call computes them again") {
  Disturbed disturbed(Mode::cached), undisturbed(Mode::cached);
  DecodeSession& s = *disturbed.session;
  for (int i = 0; i < 5; ++i) {
    s.advance();
    undisturbed.session->advance();
  }
  disturbed.backend->read_only = true;
  disturbed.fails_in(false, 0, [&] { s.set_pokes({poke(Poke::What::k, 1, Poke::When::since)}); });
  CHECK_THROWS_WITH_AS((void)s.stored_row(0, RowKind::k, 0), doctest::Contains("go_to(4)"), UsageError);
  CHECK_THROWS_AS((void)s.slot(0), UsageError);
  s.advance();
  undisturbed.session->advance();
  CHECK(std::equal(s.logits().begin(), s.logits().end(), undisturbed.session->logits().begin()));
  const Tensor row = s.stored_row(1, RowKind::k, 1),
               expected = undisturbed.session->stored_row(1, RowKind::k, 1);
  CHECK(std::equal(row.data<float>(), row.data<float>() + row.size(), expected.data<float>()));
}

TEST_CASE("a stop works before a call and during it, until its owner resets the flag") {
  for (const Mode mode : {Mode::cached, Mode::recompute}) {
    Disturbed disturbed(mode, record(RecordOptions::Keep::latest));
    DecodeSession& s = *disturbed.session;
    s.advance();
    const Shown before = shown_by(s);
    disturbed.stop = true;  // set before the call, it must not be lost
    CHECK_THROWS_AS(s.advance(), Cancelled);
    CHECK_THROWS_AS(s.go_to(0), Cancelled);
    CHECK_THROWS_AS(s.set_pokes({}), Cancelled);
    CHECK(shown_by(s) == before);
    CHECK_NOTHROW((void)s.stored_row(0, RowKind::k, 0));  // no step had begun
    disturbed.stop = false;
    s.advance();
    CHECK(s.current_step() == 1);
  }
}

namespace {

/// A twin. Each of its sides can be disturbed.
struct DisturbedTwin {
  DisturbedTwin() {
    auto for_cached = std::make_unique<Disturbance>(), for_recompute = std::make_unique<Disturbance>();
    cached = for_cached.get(), recompute = for_recompute.get();
    SessionOptions options;
    options.record = record(RecordOptions::Keep::latest);
    options.stop = &stop;
    twin.emplace(load_model(kModel), std::move(for_cached), std::move(for_recompute), options);
    twin->start(kPrompt);
  }
  template <typename Call>
  void fails_in(Mode side, bool by_stop, Call call) {
    Disturbance& disturbance = side == Mode::cached ? *cached : *recompute;
    disturbance.skip = 0;
    disturbance.fails = !by_stop;
    disturbance.then = by_stop ? std::function<void()>([this] { stop = true; }) : nullptr;
    CHECK_THROWS_AS(call(), Error);
    stop = false;
    disturbance.fails = false;
    disturbance.then = nullptr;
  }

  std::atomic<bool> stop = false;
  Disturbance *cached = nullptr, *recompute = nullptr;
  std::optional<TwinSession> twin;
};

}  // namespace

TEST_CASE("a call that fails or is stopped on one side of a twin is undone on both") {
  for (const Mode side : {Mode::cached, Mode::recompute})
    for (const bool by_stop : {false, true}) {
      CAPTURE(name_of(side));
      CAPTURE(by_stop);
      DisturbedTwin disturbed;
      TwinSession& twin = *disturbed.twin;
      disturbed.fails_in(side, by_stop, [&] { twin.advance(); });  // the prefill
      CHECK(twin.cached().current_step() == -1);
      CHECK(twin.recompute().current_step() == -1);
      for (int i = 0; i < 4; ++i) twin.advance();
      twin.set_pokes({poke(Poke::What::k, 6, Poke::When::since)});
      const Shown left = shown_by(twin.cached()), right = shown_by(twin.recompute());
      const auto check_fails = [&](auto call) {
        disturbed.fails_in(side, by_stop, call);
        CHECK(shown_by(twin.cached()) == left);
        CHECK(shown_by(twin.recompute()) == right);
      };
      check_fails([&] { twin.advance(); });
      check_fails([&] { twin.go_to(1); });
      check_fails([&] { twin.set_pokes({}); });
      check_fails([&] { twin.set_pokes({poke(Poke::What::v, 1, Poke::When::since)}); });
      twin.advance();
      CHECK(twin.recompute().current_step() == 4);
      CHECK(twin.cached().last_step() == 4);
    }
}

TEST_CASE("a stop that comes too late for the cached side ends the other side, and the call is undone") {
  DisturbedTwin disturbed;
  disturbed.twin->advance();
  const Shown left = shown_by(disturbed.twin->cached());
  disturbed.cached->layer = kLayers;  // at the download it is too late for a stop
  disturbed.fails_in(Mode::cached, true, [&] { disturbed.twin->advance(); });
  CHECK(shown_by(disturbed.twin->cached()) == left);
  disturbed.twin->advance();
  CHECK(disturbed.twin->recompute().current_step() == 1);
}
