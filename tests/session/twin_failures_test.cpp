// Calls that fail or are stopped on one side of a twin: they are undone on both.
#include <doctest/doctest.h>

#include "session/twin.h"
#include "tests/session/disturbed.h"

using namespace lastrow;
using namespace lastrow::test;

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
