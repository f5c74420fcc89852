// Several tokens in a step on a warm cache: a prefill in chunks, second turns, forced continuations.
#include <doctest/doctest.h>

#include "judge/judged_logits.h"
#include "session/twin.h"
#include "tests/session/texts.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// The number of tokens at the end of each step.
std::vector<int32_t> ends_of(const DecodeSession& s) {
  std::vector<int32_t> ends;
  for (int32_t step = 0; step <= s.last_step(); ++step) ends.push_back(s.n_tokens_at(step));
  return ends;
}

void finish_prefill(DecodeSession& s) {
  while (s.current_step() + 1 < s.n_prefill_steps()) s.advance();
}

}  // namespace

TEST_CASE("a prompt of 7 in chunks of 3, a token, and a second turn of 2, by eye") {
  for (const Mode mode : {Mode::cached, Mode::recompute}) {
    DecodeSession s(load_model(kModels[0]), naive(), {.mode = mode, .chunk = 3});
    s.start({text(0, 7).begin(), text(0, 7).end()});
    CHECK(s.n_prefill_steps() == 3);
    CHECK(s.last_step() == -1);
    CHECK(s.n_tokens_at(-1) == 0);
    for (int i = 0; i < 4; ++i) s.advance();
    s.advance(std::vector<int32_t>{1, 2});
    CHECK(ends_of(s) == std::vector<int32_t>{3, 6, 7, 8, 10});
    const std::vector<Phase> phases = {Phase::prefill, Phase::prefill, Phase::prefill, Phase::decode,
                                       Phase::prefill};
    const std::vector<int32_t> fed = {3, 3, 1, 1, 2};
    for (int32_t step = 0; step < 5; ++step) {
      const StepRecord r = s.go_to(step);
      CHECK(r.phase == phases[static_cast<size_t>(step)]);
      CHECK(s.phase_of(step) == r.phase);
      CHECK(r.kv_len == s.n_tokens_at(step));
      CHECK(r.position == s.n_tokens_at(step) - 1);
      CHECK(r.q_len == (mode == Mode::cached ? fed[static_cast<size_t>(step)] : s.n_tokens_at(step)));
    }
    CHECK(std::equal(text(0, 7).begin(), text(0, 7).end(), s.tokens().begin()));
    CHECK(s.tokens()[8] == 1);
    CHECK(s.tokens()[9] == 2);
    CHECK(s.prompt_len() == 7);
  }
}

TEST_CASE("theorem: on naive, a prefill in chunks of any size is the whole prefill, to the last bit") {
  for (const std::string& name : kModels)
    for (const CacheOptions& cache : {CacheOptions{}, paged(4)}) {
      const auto model = load_model(name);
      DecodeSession whole(model, naive(), {});
      whole.start(kText);
      whole.advance();
      const auto logits = logits_of(whole), rows = rows_of(whole);
      for (int32_t chunk = 1; chunk <= static_cast<int32_t>(kText.size()) + 1; ++chunk) {
        CAPTURE(chunk);
        DecodeSession s(model, naive(), {.chunk = chunk, .cache = cache});
        s.start(kText);
        finish_prefill(s);
        CHECK(logits_of(s) == logits);
        CHECK(rows_of(s) == rows);
        CHECK(s.next_token() == whole.next_token());
      }
    }
}

TEST_CASE("theorem: elsewhere, every step of every chunk size is within the tolerance of the judge") {
  const auto check = [](Factory make, const std::string& name, std::initializer_list<int32_t> chunks) {
    const auto model = load_model(name);
    const judge::JudgedLogits judged = judge::judged_logits(*model, kText);
    const auto vocab_size = static_cast<size_t>(model->config().vocab_size);
    for (const int32_t chunk : chunks) {
      CAPTURE(chunk);
      DecodeSession s(model, make(), {.chunk = chunk, .cache = paged(4)});
      s.start(kText);
      for (int32_t step = 0; step < s.n_prefill_steps(); ++step) {
        s.advance();
        const auto first = judged.logits.begin() +
                           static_cast<ptrdiff_t>(static_cast<size_t>(s.n_tokens_at(step) - 1) * vocab_size);
        const judge::Difference worst = judge::difference(
            {s.logits().begin(), s.logits().end()}, {first, first + static_cast<ptrdiff_t>(vocab_size)});
        INFO(worst.to_string());
        CHECK(worst.largest <= judged.bound);
      }
    }
  };
  for (const std::string& name : kModels) {
    check(&eigen, name, {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17});  // around the blocks of 4
    check(&emulated, name, {1, 3, 4, 5, 16});
  }
}

TEST_CASE("theorem: a second turn is one long prompt, and turns of any length are") {
  for (const std::string& name : kModels) {
    const auto model = load_model(name);
    DecodeSession whole(model, naive(), {});
    whole.start(kText);
    whole.advance();
    for (const size_t first : {1, 4, 9, 16})
      for (const size_t second : {1, 5, 16}) {
        CAPTURE(first);
        CAPTURE(second);
        DecodeSession s(model, naive(), {.cache = paged(3)});
        s.start({kText.begin(), kText.begin() + static_cast<ptrdiff_t>(first)});
        s.advance();
        for (size_t at = first; at < kText.size(); at += second)
          s.advance(text(at, std::min(at + second, kText.size())));
        CHECK(logits_of(s) == logits_of(whole));
        CHECK(rows_of(s) == rows_of(whole));
      }
  }
}

TEST_CASE("both modes agree on chunks, turns and steps back, to the last bit on naive") {
  TwinSession twin(load_model(kModels[0]), naive(), naive(), {.chunk = 4});
  twin.start({kText.begin(), kText.begin() + 10});
  for (int i = 0; i < 5; ++i) twin.advance();  // three chunks, two tokens
  twin.advance(std::vector<int32_t>{7, 8, 9});
  twin.advance();
  CHECK(ends_of(twin.cached()) == std::vector<int32_t>{4, 8, 10, 11, 12, 15, 16});
  CHECK(ends_of(twin.recompute()) == ends_of(twin.cached()));
  for (const int32_t step : {6, 1, 5, 0, 3, 2}) {
    twin.go_to(step);
    CAPTURE(step);
    CHECK(twin.max_abs_logit_diff() == 0);
  }
  twin.advance();  // behind the prompt again: the chosen token, which is the same as before
  CHECK(twin.cached().last_step() == 6);
}

TEST_CASE("step back into a chunk and forward: the same bits; other tokens forget the later steps") {
  for (const Factory make : {&naive, &eigen})
    for (const CacheOptions& cache : {CacheOptions{}, paged(3)}) {
      DecodeSession s(load_model(kModels[0]), make(), {.chunk = 5, .cache = cache});
      s.start({kText.begin(), kText.begin() + 12});
      std::vector<std::vector<float>> logits;
      for (int i = 0; i < 7; ++i) {
        if (i == 4)
          s.advance(text(12, 16));
        else
          s.advance();
        logits.push_back(logits_of(s));
      }
      const auto rows = rows_of(s);
      for (const int32_t step : {6, 0, 4, 1, 5, 2, 3}) {
        s.go_to(step);
        CAPTURE(step);
        CHECK(logits_of(s) == logits[static_cast<size_t>(step)]);
        CHECK(s.kv_len() == s.n_tokens_at(step));
        CHECK(s.last_step() == 6);
      }
      s.go_to(0);
      for (int i = 1; i < 3; ++i) s.advance();  // the chunks that it had before
      CHECK(s.last_step() == 6);
      s.advance();
      s.advance(text(12, 16));  // the same turn
      CHECK(s.last_step() == 6);
      s.go_to(6);
      CHECK(rows_of(s) == rows);
      s.go_to(3);
      s.advance(text(12, 15));  // a shorter turn
      CHECK(s.last_step() == 4);
      CHECK(s.tokens().size() == 16);
      s.go_to(3);
      s.advance(s.tokens().subspan(2, 6));  // tokens of the session itself
      CHECK(std::equal(kText.begin() + 2, kText.begin() + 8, s.tokens().begin() + 13));
    }
}

TEST_CASE("a token that is given and the same token chosen are two histories, because their phases differ") {
  DecodeSession s(load_model(kModels[0]), naive(), {});
  s.start(kText);
  s.advance();
  const std::vector<int32_t> chosen = {s.next_token()};
  s.advance(chosen);
  s.advance();
  CHECK(s.phase_of(1) == Phase::prefill);
  const auto logits = logits_of(s);
  s.go_to(0);
  s.advance();  // the same token, but chosen
  CHECK(s.phase_of(1) == Phase::decode);
  CHECK(s.last_step() == 1);
  s.advance();
  CHECK(logits_of(s) == logits);
}

TEST_CASE("pokes in chunks and turns: since it was computed, both sides compute the same function") {
  TwinSession twin(load_model(kModels[0]), naive(), naive(), {.chunk = 4, .cache = paged(3)});
  twin.start({kText.begin(), kText.begin() + 10});
  for (int i = 0; i < 4; ++i) twin.advance();
  twin.advance(std::vector<int32_t>{7, 8, 9});
  const auto before = logits_of(twin.cached());
  for (const Poke::What what : {Poke::What::q, Poke::What::k, Poke::What::v})
    for (const int32_t position : {1, 3, 4, 5, 9, 10, 11, 12, 13}) {
      twin.set_pokes({Poke{.what = what, .position = position, .seed = 4, .when = Poke::When::since}});
      CAPTURE(position);
      CHECK(twin.max_abs_logit_diff() == 0);
      CHECK(logits_of(twin.cached()) != before);
    }
  twin.set_pokes({});
  CHECK(logits_of(twin.cached()) == before);
}

TEST_CASE("a poke of a position that is not computed yet comes into force when it is") {
  const auto model = load_model(kModels[0]);
  const Poke poke{.what = Poke::What::v, .position = 6, .seed = 4, .when = Poke::When::since};
  DecodeSession early(model, naive(), {.chunk = 4}), late(model, naive(), {.chunk = 4});
  for (DecodeSession* s : {&early, &late}) {
    s->start({kText.begin(), kText.begin() + 10});
    s->advance();
  }
  early.set_pokes({poke});
  CHECK(logits_of(early) == logits_of(late));
  finish_prefill(early);
  finish_prefill(late);
  CHECK(logits_of(early) != logits_of(late));
  late.set_pokes({poke});
  CHECK(logits_of(early) == logits_of(late));
}

TEST_CASE("wrong chunks and turns are refused with a message, and change nothing") {
  const auto model = load_model(kModels[0]);
  CHECK_THROWS_WITH_AS(DecodeSession(model, naive(), {.chunk = -1}), doctest::Contains("chunk of -1 tokens"),
                       UsageError);
  DecodeSession s(model, naive(), {.max_seq_len = 20, .chunk = 8});
  s.start(kText);
  CHECK_THROWS_WITH_AS(s.go_to(0), doctest::Contains("no step has been taken"), UsageError);
  s.advance();
  const std::vector<int32_t> three = {1, 2, 3}, four = {1, 2, 3, 4};
  CHECK_THROWS_WITH_AS(s.advance(three), doctest::Contains("9 of the 17 tokens of the prompt"), UsageError);
  CHECK_THROWS_WITH_AS(s.advance(5), doctest::Contains("9 of the 17 tokens of the prompt"), UsageError);
  CHECK_THROWS_WITH_AS(s.go_to(1), doctest::Contains("step 1 has not been taken"), UsageError);
  finish_prefill(s);
  const auto logits = logits_of(s);
  CHECK_THROWS_WITH_AS(s.advance(std::span<const int32_t>()), doctest::Contains("a step of no tokens"),
                       UsageError);
  CHECK_THROWS_WITH_AS(s.advance(std::vector<int32_t>{1, 50}), doctest::Contains("token 50 is outside"),
                       UsageError);
  CHECK_THROWS_WITH_AS(s.advance(std::vector<int32_t>{1, -2}), doctest::Contains("token -2 is outside"),
                       UsageError);
  CHECK_THROWS_WITH_AS(s.advance(four),
                       doctest::Contains("4 more tokens do not fit: the context of 20 has room for 3"),
                       CapacityError);
  CHECK(s.last_step() == 2);
  CHECK(logits_of(s) == logits);
  s.advance(three);
  CHECK(s.context_full());
}
