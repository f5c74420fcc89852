// Calls that fail, are stopped or are not kept: afterwards nothing has changed.
#include <doctest/doctest.h>

#include "session/saved_cache.h"
#include "session/transaction.h"
#include "support/aborts.h"
#include "tests/session/disturbed.h"

using namespace lastrow;
using namespace lastrow::test;
using lastrow::testing::aborts;

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

TEST_CASE("a call that fails after later steps were replaced keeps the new text, not the old one") {
  std::atomic<bool> stop = false;
  DecodeSession s(load_model(kModel), naive(), {.stop = &stop});
  s.start(kPrompt);
  for (int i = 0; i < 4; ++i) s.advance();
  s.go_to(1);
  s.advance(7);
  const std::vector<int32_t> tokens(s.tokens().begin(), s.tokens().end());
  CHECK(s.last_step() == 2);
  for (int attempt = 0; attempt < 2; ++attempt) {
    stop = true;
    CHECK_THROWS_AS(s.advance(), Cancelled);
    stop = false;
    CHECK(std::ranges::equal(s.tokens(), tokens));
    CHECK(s.last_step() == 2);
  }
  s.advance();
  CHECK(s.last_step() == 3);
}
