// Sessions whose cache stores K as int8 with a scale for each channel of a block (cache/sealing.h).
#include <doctest/doctest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "judge/tolerance.h"
#include "session/saved_cache.h"
#include "session/twin.h"
#include "tests/session/batch_texts.h"
#include "trace/dependence.h"
#include "trace/forwarding.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

CacheOptions sealed(int32_t block_len, const char* dtypes = "k=int8-channel,v=f32") {
  return with_dtypes(paged(block_len), dtypes);
}

/// The prompt, then single tokens up to the context. The logits of every step.
std::vector<std::vector<float>> logits_of_steps(DecodeSession& s) {
  std::vector<std::vector<float>> logits;
  s.start(kText);
  while (!s.context_full()) {
    s.advance();
    logits.push_back(logits_of(s));
  }
  return logits;
}

}  // namespace

TEST_CASE(
    "by eye: the prompt is fed in blocks, new rows are in f32, and the step that is one block ahead seals") {
  DecodeSession s(load_model(kModels[0]), naive(),
                  {.record = RecordOptions{.keep = RecordOptions::Keep::all}, .cache = sealed(4)});
  s.start(kText);  // 17 tokens
  CHECK(s.options().chunk == 4);
  CHECK(s.n_prefill_steps() == 5);
  for (int step = 0; step < 5; ++step) s.advance();
  CHECK(s.recorder().plan(1).seals == std::vector<int32_t>{0});  // 8 rows
  CHECK(s.recorder().plan(4).seals.empty());                     // 17 rows: 12 were sealed with 16
  s.advance();
  const StepPlan& plan = s.recorder().plan(5);
  CHECK(std::vector<int32_t>(plan.open_blocks.begin(), plan.open_blocks.begin() + 5) ==
        std::vector<int32_t>{-1, -1, -1, 3 % 3, 4 % 3});
  // 2 layers of 2 heads of 8 numbers. 12 rows are read as codes with the scales of 3 blocks, 6 rows in f32.
  CHECK(s.record().cache_bytes_read == 2 * 2 * (12 * 8 + 3 * 8 * 4 + 6 * 8 * 4 + 18 * 8 * 4));
  CHECK(s.record().cache_bytes_written == 2 * 2 * 2 * 8 * 4);
  CHECK(s.record().bytes_held == 2 * 2 * (5 * (4 * 8 + 8 * 4 + 4 * 8 * 4) + 3 * 4 * 8 * 4));
}

TEST_CASE(
    "until a block is sealed and read, the logits are those of an f32 cache to the bit; then they are near") {
  for (const std::string& name : kKinds) {
    CAPTURE(name);
    const auto model = load_model(name);
    DecodeSession plain(model, naive(), {.chunk = 4, .cache = paged(4)}),
        channel(model, naive(), {.cache = sealed(4)});
    const auto expected = logits_of_steps(plain), got = logits_of_steps(channel);
    REQUIRE(got.size() == expected.size());
    CHECK(got[0] == expected[0]);
    CHECK(got[1] == expected[1]);  // the second step seals block 0, the third reads its codes
    CHECK(got[2] != expected[2]);
    for (size_t step = 2; step < got.size(); ++step)
      for (size_t i = 0; i < got[step].size(); ++i) CHECK(std::abs(got[step][i] - expected[step][i]) < 0.1f);
  }
}

TEST_CASE("backends agree within the judge's bound, with every type of V") {
  const auto model = load_model(kModels[0]);
  for (const char* dtypes :
       {"k=int8-channel,v=f32", "int8-channel", "k=int8-channel,v=fp8", "k=int8-channel,v=int4"}) {
    CAPTURE(dtypes);
    DecodeSession reference(model, exact(), {.cache = sealed(4, dtypes)}),
        tested(model, eigen(), {.cache = sealed(4, dtypes)});
    const auto expected = logits_of_steps(reference), got = logits_of_steps(tested);
    for (size_t step = 0; step < got.size(); ++step)
      for (size_t i = 0; i < got[step].size(); ++i) CHECK(std::abs(got[step][i] - expected[step][i]) < 0.05f);
  }
}

TEST_CASE(
    "stepping back to any step and forward again gives the same bits, and so does a poke that is undone") {
  for (const Factory make : {&naive, &eigen}) {
    DecodeSession s(load_model(kModels[0]), make(), {.cache = sealed(4, "int8-channel")});
    const auto logits = logits_of_steps(s);
    const auto last = static_cast<int32_t>(logits.size()) - 1;
    for (const int32_t step : {last, 3, 4, 20, 19, 18, 0, last}) {
      CAPTURE(step);
      s.go_to(step);
      CHECK(logits_of(s) == logits[static_cast<size_t>(step)]);
    }
    const auto rows = rows_of(s);
    for (const int32_t position : {2, 30, 38})  // in a sealed block, and in open ones
      for (const Poke::When when : {Poke::When::now, Poke::When::since}) {
        CAPTURE(position);
        s.set_pokes({{.what = Poke::What::k,
                      .layer = 0,
                      .position = position,
                      .seed = 7,
                      .when = when,
                      .step = last}});
        CHECK(logits_of(s) != logits.back());
        if (when == Poke::When::now) CHECK(s.poke_report(0).changed == 1);
        s.set_pokes({});
        CHECK(logits_of(s) == logits.back());
        CHECK(rows_of(s) == rows);
      }
  }
}

TEST_CASE("the twin without a cache computes in f32, so the difference is the price of the codes") {
  TwinSession twin(load_model(kModels[0]), naive(), naive(), {.cache = sealed(4)});
  twin.start(kText);
  twin.advance();
  CHECK(twin.max_abs_logit_diff() == 0);
  while (!twin.cached().context_full()) twin.advance();
  CHECK(twin.max_abs_logit_diff() > 0);
  CHECK(twin.max_abs_logit_diff() < 0.1f);
}

TEST_CASE("a trace says that a sealed row comes from all rows of its block, and keeps both versions of it") {
  DecodeSession s(load_model(kModels[0]), naive(),
                  {.record = RecordOptions{.keep = RecordOptions::Keep::all}, .cache = sealed(4)});
  logits_of_steps(s);
  const auto path = std::filesystem::temp_directory_path() / fmt::format("lastrow-sealed-{}", getpid());
  write_trace(path, s.recorder(), {});
  const TraceFile trace = TraceFile::open(path);
  std::filesystem::remove(path);
  CHECK(trace.recorder.cache_spec().dtype_k == DType::i8_channel);
  CHECK(trace.recorder.cache_spec().n_open_blocks == 3);
  const Lineage lineage(trace.recorder);
  CHECK(lineage.find(0, 1, "seal_keys") == -1);
  const int32_t seal = lineage.find(1, 1, "seal_keys");
  REQUIRE(seal >= 0);
  const Event& event = trace.recorder.events(1)[static_cast<size_t>(seal)];
  REQUIRE(event.writes.size() == 1);
  CHECK(event.writes[0].first == 0);
  CHECK(event.writes[0].count == 4);
  CHECK(event.writes[0].version == event.reads[0].version + 1);
  CHECK(rows_read(event, trace.recorder.plan(1), {RowSpace::k, 1, 2}) ==
        std::vector<Row>{{RowSpace::k, 1, 0}, {RowSpace::k, 1, 1}, {RowSpace::k, 1, 2}, {RowSpace::k, 1, 3}});
  CHECK(event.cost == cost::seal_keys(1, 4, 2, 8));
  // Attention of step 1 reads the rows before the seal, that of step 2 the rows after it.
  const auto first_block = [&](int32_t step) {
    const StepTensors tensors = trace.recorder.tensors(step);
    const float* rows = tensors.layers[1].k.data<float>();
    return std::vector<float>(rows, rows + 4 * 2 * 8);
  };
  const std::vector<float> in_f32 = first_block(1), rounded = first_block(2);
  CHECK(in_f32 != rounded);
  for (size_t i = 0; i < rounded.size(); ++i) CHECK(std::abs(in_f32[i] - rounded[i]) < 0.05f);
}

TEST_CASE("theorem: in a batch = alone, to the last bit on naive, and counts of the texts add up") {
  const std::vector<Request> requests = {
      {kText, 12}, {{3, 14}, 20}, {{9, 9, 26, 5, 1}, 9}, {{7}, 30}, {kText, 23}};
  for (const std::string& name : {kModels[0], kKinds[4]}) {
    const auto model = load_model(name);
    for (const char* dtypes : {"int8-channel", "k=int8-channel,v=f32"}) {
      CAPTURE(dtypes);
      BatchSession batch(model, naive(), {.max_seqs = 3, .cache = sealed(4, dtypes)});
      for (const Request& request : requests) batch.add(request.prompt, request.n_tokens);
      while (const BatchStep* step = batch.advance()) {
        int64_t n_read = 0, n_written = 0;
        for (const SequenceStep& each : step->sequences) {
          n_read += each.cache_bytes_read;
          n_written += each.cache_bytes_written;
        }
        CHECK(n_read == step->total.cache_bytes_read);
        CHECK(n_written == step->total.cache_bytes_written);
      }
      for (size_t i = 0; i < requests.size(); ++i) {
        const Text alone = generated_alone(model, naive(), requests[i], {}, sealed(4, dtypes));
        const Generation& together = batch.generation(static_cast<int32_t>(i));
        CHECK(together.tokens == alone.tokens);
        CHECK(together.logits == alone.logits.back());
      }
      const std::vector<int32_t> text = batch.generation(4).tokens;
      const int32_t last = batch.last_step();
      batch.go_to(3);
      batch.go_to(last);
      CHECK(batch.generation(4).tokens == text);
    }
  }
}

TEST_CASE("what is refused, each in one clear line") {
  const auto model = load_model(kModels[0]);
  BatchSession batch(model, naive(), {.max_seqs = 2, .cache = sealed(4)});
  batch.add(kText, 3);
  batch.advance();
  CHECK_THROWS_WITH_AS(batch.fork(0), doctest::Contains("K as int8-channel cannot share blocks"), UsageError);
  DecodeSession s(model, naive(), {.cache = sealed(4)});
  s.start(kText);
  while (s.current_step() + 1 < s.n_prefill_steps()) s.advance();
  CHECK_THROWS_WITH_AS(save_cache(s),
                       doctest::Contains("rows cannot be saved from a cache with K as int8-channel"),
                       UsageError);
  CHECK_THROWS_WITH_AS(
      s.advance(text(0, 5)),
      "a step of 5 tokens, but the cache has room for 4 at once: give them in several calls, or make "
      "the session with chunk 5",
      CapacityError);
  CHECK_THROWS_WITH_AS(DecodeSession(model, naive(), {.cache = with_dtypes({}, "int8-channel")}),
                       doctest::Contains("use a paged cache"), UsageError);
}
