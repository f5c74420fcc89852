// Calls that fail on a cache that forgets rows: afterwards it holds the rows that it held, in the same slots.
#include <doctest/doctest.h>

#include "tests/session/disturbed.h"

using namespace lastrow;
using namespace lastrow::test;

TEST_CASE(
    "a call that throws changes nothing in a ring, a budget or sealed blocks, although later rows took the "
    "places") {
  const CacheOptions kRing{.kind = "window", .block_len = 2, .window = 4, .sinks = 1},
      kHeavy{.kind = "budget", .budget = 4, .eviction = Eviction::heavy},
      kAlternating{.kind = "window", .block_len = 2},
      kSealed{.kind = "paged", .block_len = 2, .dtype_k = DType::i8_channel, .dtype_v = DType::i8};
  const std::vector<Poke> pokes = {poke(Poke::What::k, 6, Poke::When::since)};
  for (const auto& [ring, by_stop] : {std::pair{kRing, false},
                                      {kRing, true},
                                      {kHeavy, false},
                                      {kHeavy, true},
                                      {kAlternating, false},
                                      {kAlternating, true},
                                      {kSealed, false},
                                      {kSealed, true}})
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
