// A session over a window cache: a ring computes what the same mask over all rows computes.
#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>

#include "judge/judged_logits.h"
#include "session/batch_session.h"
#include "session/saved_cache.h"
#include "session/twin.h"
#include "tests/session/batch_texts.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

CacheOptions ring(int32_t window, int32_t sinks, int32_t block_len) {
  return {.kind = "window", .block_len = block_len, .window = window, .sinks = sinks};
}
CacheOptions masked(int32_t window, int32_t sinks) { return {.window = window, .sinks = sinks}; }

const std::string kAlibi =
    "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,alibi=1,seed=2";

std::vector<int32_t> positions_of(const DecodeSession& s) {
  std::vector<int32_t> positions;
  for (int32_t index = 0; index < s.kv_len(); ++index) positions.push_back(s.position_of(index));
  return positions;
}

std::vector<std::tuple<int32_t, int32_t, int32_t>> kRules = {  // window, sinks, block_len
    {1, 0, 1}, {1, 2, 2}, {4, 1, 2}, {5, 3, 4}, {6, 0, 16}, {16, 4, 5}, {40, 2, 16}};

}  // namespace

TEST_CASE("by eye: a window of 4 with one sink holds 4 rows between steps, and counts what it forgets") {
  DecodeSession s(load_model(kModels[0]), naive(), {.cache = ring(4, 1, 2)});
  s.start({text(0, 7).begin(), text(0, 7).end()});
  CHECK(s.options().chunk == 4);  // the window
  CHECK(s.n_prefill_steps() == 2);
  const StepRecord first = s.advance();
  CHECK(first.kv_len == 4);
  CHECK(first.rows_held == 4);
  CHECK(first.rows_evicted == 0);
  const StepRecord second = s.advance();
  CHECK(second.position == 6);
  CHECK(second.kv_len == 7);  // four held rows and three new ones
  CHECK(second.rows_held == 4);
  CHECK(second.rows_evicted == 3);
  CHECK(positions_of(s) == std::vector<int32_t>{0, 4, 5, 6});
  const StepRecord decode = s.advance();
  CHECK(decode.rows_evicted == 1);
  CHECK(decode.score_cells == 2 * 4 * 5);  // 2 layers, 4 heads: the sink and the last four
  CHECK(positions_of(s) == std::vector<int32_t>{0, 5, 6, 7});
  CHECK(s.max_seq_len() == 40);
  CHECK(s.cache().spec().n_blocks == 1 + 4);  // 4 + 4 − 1 rows in blocks of 2
  CHECK_THROWS_WITH_AS((void)s.stored_row(0, RowKind::k, 4), doctest::Contains("holds 4 rows"), UsageError);
}

TEST_CASE("theorem: on naive, ring = masked rows = recompute to the last bit, for any chunk") {
  for (const std::string& name : {kModels[0], kModels[1], kAlibi}) {
    const auto model = load_model(name);
    for (const auto& [window, sinks, block_len] : kRules) {
      CAPTURE(name);
      CAPTURE(window);
      CAPTURE(sinks);
      DecodeSession all(model, naive(), {.cache = masked(window, sinks)});
      const auto expected = talk(all);
      DecodeSession recompute(model, naive(),
                              {.mode = Mode::recompute, .cache = ring(window, sinks, block_len)});
      CHECK(talk(recompute) == expected);
      for (const int32_t chunk : {0, 1, 3, 7, 17}) {
        CAPTURE(chunk);
        DecodeSession s(model, naive(), {.chunk = chunk, .cache = ring(window, sinks, block_len)});
        CHECK(talk(s) == expected);
        CHECK(std::ranges::equal(s.tokens(), all.tokens()));
        CHECK(s.record().score_cells == all.record().score_cells);
        CHECK(s.kv_len() == std::min(40, sinks + std::min(window - 1, 40 - sinks)));
        for (int32_t index = 0; index < s.kv_len(); ++index) {  // its rows are those of their positions
          const int32_t position = s.position_of(index);
          CHECK(position == (index < sinks ? index : 40 - s.kv_len() + index));
          for (const RowKind kind : {RowKind::k, RowKind::v}) {
            const Tensor own = s.stored_row(1, kind, index), other = all.stored_row(1, kind, position);
            CHECK(std::equal(own.data<float>(), own.data<float>() + own.size(), other.data<float>()));
          }
        }
      }
    }
  }
}

TEST_CASE("theorem: elsewhere, ring and recompute are within the tolerance of the judge") {
  const auto check = [](Factory make, const std::string& name, int32_t window, int32_t sinks,
                        int32_t block_len) {
    CAPTURE(name);
    CAPTURE(window);
    CAPTURE(sinks);
    const auto model = load_model(name);
    TwinSession twin(model, make(), make(), {.cache = ring(window, sinks, block_len)});
    twin.start(kText);
    while (!twin.cached().context_full()) twin.advance();
    const judge::JudgedLogits judged = judge::judged_logits(*model, twin.cached().tokens(), window, sinks);
    const auto vocab_size = static_cast<size_t>(model->config().vocab_size);
    for (int32_t step = 0; step <= twin.cached().last_step(); ++step) {
      twin.go_to(step);
      for (const Mode mode : {Mode::cached, Mode::recompute}) {
        const auto n_tokens = static_cast<size_t>(twin.cached().n_tokens_at(step));
        const auto first = judged.logits.begin() + static_cast<ptrdiff_t>((n_tokens - 1) * vocab_size);
        const auto logits = twin.side(mode).logits();
        const judge::Difference worst = judge::difference(
            {logits.begin(), logits.end()}, {first, first + static_cast<ptrdiff_t>(vocab_size)});
        INFO(worst.to_string());
        CHECK(worst.largest <= judged.bound);
      }
    }
  };
  for (const std::string& name : {kModels[0], kModels[1], kAlibi})
    for (const auto& [window, sinks, block_len] : kRules) check(&eigen, name, window, sinks, block_len);
  for (const std::string& name : {kModels[0], kAlibi}) check(&emulated, name, 5, 3, 4);
  check(&emulated, kModels[1], 16, 0, 5);
}

TEST_CASE("the narrower of two windows wins, and a mask that cannot be expressed is refused at the start") {
  const std::string own =
      "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=2,window=6,"
      "window_period=";
  DecodeSession narrow(load_model(own + "1"), naive(), {.cache = ring(9, 0, 4)}),
      plain(load_model(own + "1"), naive(), {});
  CHECK(talk(narrow) == talk(plain));
  DecodeSession wide(load_model(own + "1"), naive(), {.cache = ring(4, 0, 4)}),
      none(load_model(kModels[0]), naive(), {.cache = ring(4, 0, 4)});
  CHECK(talk(wide) == talk(none));
  DecodeSession alike(load_model(kModels[0]), naive(), {.cache = ring(6, 0, 4)});  // the same weights
  CHECK(talk(alike) == talk(plain));
  const auto refused = [](const std::string& model, const CacheOptions& cache, const char* message) {
    for (const Mode mode : {Mode::cached, Mode::recompute})
      CHECK_THROWS_WITH_AS(DecodeSession(load_model(model), naive(), {.mode = mode, .cache = cache}),
                           doctest::Contains(message), UsageError);
    CHECK_THROWS_WITH_AS(BatchSession(load_model(model), naive(), {.cache = cache}),
                         doctest::Contains(message), UsageError);
  };
  refused(own + "2", ring(4, 1, 4), "has a window of its own, 6, which hides the 1 sinks of the cache");
  refused(own + "1", ring(9, 2, 4), "leave out the sinks");
  refused(own + "2", masked(4, 1), "leave out the sinks");
  refused(kModels[0], ring(0, 0, 4), "has no window of its own: choose one, window:w=W");
  DecodeSession of_model(load_model(own + "1"), naive(), {.cache = ring(0, 0, 4)});
  CHECK(of_model.options().cache.window == 6);
  CHECK(talk(of_model) == talk(plain));
}

TEST_CASE("stepping back to any step and forward again gives the same bits") {
  for (const Factory make : {&naive, &eigen}) {
    DecodeSession s(load_model(kModels[0]), make(), {.chunk = 3, .cache = ring(5, 2, 2)});
    std::vector<std::vector<float>> logits, rows;
    std::vector<std::vector<int32_t>> positions;
    std::vector<StepRecord> records;
    s.start(kText);
    while (!s.context_full()) {
      s.advance();
      logits.push_back(logits_of(s));
      rows.push_back(rows_of(s));
      positions.push_back(positions_of(s));
      records.push_back(s.record());
    }
    for (const int32_t step : {s.last_step(), 3, 4, 20, 19, 0, s.last_step(), 1}) {
      CAPTURE(step);
      const StepRecord r = s.go_to(step);
      const auto i = static_cast<size_t>(step);
      CHECK(logits_of(s) == logits[i]);
      CHECK(rows_of(s) == rows[i]);
      CHECK(positions_of(s) == positions[i]);
      CHECK(r.rows_evicted == records[i].rows_evicted);
      CHECK(r.rows_held == records[i].rows_held);
    }
  }
}

TEST_CASE("a poke of a forgotten row changes nothing, and says so; others agree with recompute") {
  TwinSession twin(load_model(kModels[0]), naive(), naive(), {.chunk = 3, .cache = ring(5, 2, 2)});
  twin.start(kText);
  while (twin.current_step() < 20) twin.advance();
  const auto before = logits_of(twin.cached());
  const auto report = [&](const Poke& poke, Mode mode = Mode::cached) {
    twin.set_pokes({poke});
    CHECK(twin.max_abs_logit_diff() == 0);
    return twin.side(mode).poke_report(0);
  };
  Poke poke{.what = Poke::What::k, .layer = 1, .position = 9, .seed = 7, .when = Poke::When::now, .step = 20};
  CHECK(report(poke).changed == 0);  // its row is not stored any more
  CHECK(report(poke).reads == 0);
  CHECK(report(poke, Mode::recompute).reads == 5);  // it is computed again, for the five that saw it
  CHECK(logits_of(twin.cached()) == before);
  poke.position = 1;  // a sink
  CHECK(report(poke).changed == 1);
  CHECK(report(poke).reads == 1);
  CHECK(logits_of(twin.cached()) != before);
  poke.when = Poke::When::since;
  CHECK(report(poke).reads == 1);
  poke = {.what = Poke::What::v, .layer = 0, .position = 9, .seed = 7, .when = Poke::When::since};
  CHECK(report(poke).reads == 0);
  CHECK(logits_of(twin.cached()) == before);  // two layers see no further back than 2 · 4 positions
  poke.position = twin.cached().record().position - 7;
  CHECK(report(poke).reads == 0);  // this row is forgotten too, but a row above was computed from it
  CHECK(logits_of(twin.cached()) != before);
  twin.set_pokes({});
  CHECK(logits_of(twin.cached()) == before);
}

TEST_CASE("what a session with a ring refuses") {
  DecodeSession s(load_model(kModels[0]), naive(), {.cache = ring(4, 1, 2)});
  s.start({1, 2, 3});
  s.advance();
  CHECK_THROWS_WITH_AS(
      s.advance(text(0, 5)),
      "a step of 5 tokens, but the cache has room for 4 at once: give them in several calls, or "
      "make the session with chunk 5",
      CapacityError);
  CHECK(s.advance(text(0, 4)).q_len == 4);
  CHECK_THROWS_WITH_AS(save_cache(s), doctest::Contains("cannot be saved from a cache with a window"),
                       UsageError);
  DecodeSession all(load_model(kModels[0]), naive(), {});
  all.start({1, 2, 3});
  all.advance();
  CHECK_THROWS_WITH_AS(s.start_from(save_cache(all), {}), doctest::Contains("nor loaded into one"),
                       UsageError);
  CHECK(s.kv_len() == 4);
}

TEST_CASE("texts that step together over rings get the bits that they get alone, and their counts add up") {
  const auto model = load_model(kModels[0]);
  const CacheOptions cache = ring(5, 2, 2);
  BatchSession batch(model, naive(), {.max_seqs = 2, .max_prompt_len = 9, .cache = cache});
  CHECK(batch.cache().spec().n_blocks == 2 * (1 + 7));  // 5 + 9 − 1 rows in blocks of 2
  for (const size_t end : {3, 9, 6}) batch.add({text(0, end).begin(), text(0, end).end()}, 20);
  CHECK_THROWS_WITH_AS(batch.add({text(0, 10).begin(), text(0, 10).end()}, 1),
                       doctest::Contains("a prompt of 10 tokens, but prompts have at most 9"), CapacityError);
  CHECK(batch.advance()->sequences.size() == 2);  // a ring has room for a text of any length
  run_to_the_end(batch);
  CHECK(batch.step().usage.rows_evicted > 30);
  int32_t id = 0;
  for (const size_t end : {3, 9, 6}) {
    DecodeSession alone(model, naive(), {.chunk = 9, .cache = cache});
    alone.start({text(0, end).begin(), text(0, end).end()});
    for (int i = 0; i < 20; ++i) alone.advance();
    const Generation& g = batch.generation(id++);
    CHECK(logits_of(alone) == g.logits);
    CHECK(std::equal(g.tokens.begin(), g.tokens.end() - 1,
                     alone.tokens().begin() + static_cast<ptrdiff_t>(end)));
  }
}

TEST_CASE("a trace of a ring comes back from its file, with the slots and the ancestors of every row") {
  DecodeSession s(
      load_model(kModels[0]), naive(),
      {.chunk = 3, .record = RecordOptions{.keep = RecordOptions::Keep::all}, .cache = ring(4, 1, 2)});
  s.start(kText);
  for (int i = 0; i < 12; ++i) s.advance();
  const auto path = std::filesystem::temp_directory_path() / fmt::format("lastrow-ring-{}", getpid());
  write_trace(path, s.recorder(), {});
  const TraceFile trace = TraceFile::open(path);
  std::filesystem::remove(path);
  CHECK(trace.recorder.cache_spec().max_kv_len() == s.cache().spec().max_kv_len());
  for (const int32_t step : s.recorder().steps()) {
    const StepPlan &plan = s.recorder().plan(step), &read = trace.recorder.plan(step);
    CHECK(read.window == 4);
    CHECK(read.window_sinks == 1);
    CHECK(read.table_sinks == 1);
    CHECK(read.table_first == plan.table_first);
    CHECK(read.key_positions == plan.key_positions);
    CHECK(read.block_tables == plan.block_tables);
    const StepTensors a = s.recorder().tensors(step), b = trace.recorder.tensors(step);
    REQUIRE(b.layers[1].k.shape() == a.layers[1].k.shape());
    CHECK(std::equal(a.layers[1].k.data<float>(), a.layers[1].k.data<float>() + a.layers[1].k.size(),
                     b.layers[1].k.data<float>()));
  }
  // The logits of the last step come from the tokens whose rows it sees, in two layers: it sees position 0 and
  // the last four, and those were computed from rows that see three more.
  const int32_t position = s.record().position;
  std::vector<int32_t> expected = {0};
  for (int32_t p = position - 6; p <= position; ++p) expected.push_back(p);
  CHECK(positions_behind(trace.recorder, s.current_step(), -1, "lm_head") == expected);
}
