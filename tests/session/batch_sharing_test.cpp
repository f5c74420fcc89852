// Generations that share rows: branches of one generation, and prompts that begin alike.
#include <doctest/doctest.h>

#include "tests/session/batch_texts.h"
#include "trace/dependence.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

CacheOptions pages_of(int32_t block_len, bool share_prefix = false, int32_t n_blocks = 0) {
  return {.kind = "paged", .block_len = block_len, .n_blocks = n_blocks, .share_prefix = share_prefix};
}

std::vector<int32_t> joined(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Ten prompts that begin with the same 9 tokens.
std::vector<Request> prompts_with_one_start() {
  const std::vector<int32_t> start = {3, 14, 15, 9, 26, 5, 35, 8, 9};
  std::vector<Request> requests;
  for (int32_t i = 0; i < 10; ++i) requests.push_back({joined(start, {i, 40 - i, 7}), 3 + i % 4});
  return requests;
}

}  // namespace

TEST_CASE(
    "blocks of any length, in a pool that is just large enough: each text is the one of a contiguous cache") {
  const auto model = load_model(kModel);
  const std::vector<Request> requests = {
      {{3, 14, 15, 9, 26}, 4}, {{7}, 1}, {{2, 7, 1, 8, 2, 8, 1}, 6}, {{1, 4}, 9}};
  const std::vector<Text> texts = generated_together(model, naive(), requests, {.max_seqs = 3});
  for (const int32_t block_len : {1, 2, 3, 16, 40})
    for (const int32_t n_rows : {12, 24, 120}) {  // the longest text has 12 rows
      CAPTURE(block_len);
      const int32_t n_blocks = (n_rows + block_len - 1) / block_len;
      const BatchOptions options{.max_seqs = 3, .cache = pages_of(block_len, false, n_blocks)};
      if (int64_t{n_blocks} * block_len < 40) continue;  // a cache must hold one sequence of max_seq_len
      CHECK(generated_together(model, naive(), requests, options) == texts);
    }
}

TEST_CASE(
    "a generation waits until the cache has room for its longest length, and never runs out of blocks") {
  const auto model = load_model(kModel);
  BatchSession batch(model, eigen(), {.max_seqs = 4, .max_seq_len = 16, .cache = pages_of(4, false, 5)});
  batch.add({1, 2, 3, 4, 5}, 4);  // 8 rows: 2 blocks
  batch.add({1, 2}, 8);           // 9 rows: 3 blocks
  batch.add({1}, 1);              // 1 row: 1 block, but there is none left
  CHECK_THROWS_WITH_AS(batch.add({1, 2}, 20), doctest::Contains("need 21 rows"), CapacityError);
  batch.advance();
  CHECK(batch.n_running() == 2);
  CHECK(batch.step().n_waiting == 1);
  CHECK_THROWS_WITH_AS(batch.fork(0), doctest::Contains("can need 2 blocks, but only 0 of 5"), CapacityError);
  (void)run_to_end(batch);
  CHECK(batch.generation(2).joined_step == 4);  // generation 0 left after step 3
}

TEST_CASE("a fork, by eye: the branch holds the same rows without a copy, until both write") {
  const auto model = load_model(kModel);
  BatchSession batch(model, eigen(), {.max_seqs = 2, .cache = pages_of(4)});
  batch.add({1, 2, 3, 4, 5, 6}, 5);
  batch.advance();
  CHECK(batch.fork(0) == 1);
  const Generation& branch = batch.generation(1);
  CHECK(branch.parent == 0);
  CHECK(branch.state == Generation::State::running);
  CHECK(branch.tokens == batch.generation(0).tokens);
  CHECK(branch.n_prefix == 6);
  CHECK(batch.cache().usage().blocks_used == 2);
  CHECK(batch.cache().usage().blocks_shared == 2);
  batch.force(1, (branch.tokens.back() + 1) % 50);
  const BatchStep* step = batch.advance();
  CHECK(step->total.q_len == 2);
  CHECK(step->usage.blocks_used == 3);    // the second block is copied …
  CHECK(step->usage.blocks_shared == 1);  // … and the first one stays shared
}

TEST_CASE("theorem: fork then diverge = two separate runs") {
  const auto model = load_model(kModel);
  const Request request{{3, 14, 15, 9, 26}, 9};
  for (const auto make : {&naive, &eigen})
    for (const int32_t block_len : {1, 4, 16})
      for (const int32_t n_before : {1, 2, 4}) {
        CAPTURE(block_len);
        BatchSession batch(model, make(), {.max_seqs = 3, .cache = pages_of(block_len)});
        batch.add(request.prompt, request.n_tokens);
        batch.add({7, 7}, 20);
        std::vector<Text> texts;
        for (int32_t i = 0; i < n_before; ++i) batch.advance(), add_step(batch, texts);
        const int32_t branch = batch.fork(0), forced = (batch.generation(0).tokens.back() + 7) % 50;
        batch.force(branch, forced);
        const std::vector<int32_t> before = batch.generation(branch).tokens;
        while (batch.advance() != nullptr) add_step(batch, texts);

        // Alone: the prompt and the tokens up to the forced one are given.
        const Request rest{joined(request.prompt, before), request.n_tokens - n_before};
        Text text = texts[static_cast<size_t>(branch)];
        text.tokens.erase(text.tokens.begin(), text.tokens.begin() + n_before);
        if (make == &naive) {
          CHECK(text == generated_alone(model, naive(), rest));
          CHECK(texts[0] == generated_alone(model, naive(), request));
        } else {
          expect_judged(*model, rest, text);
          expect_judged(*model, request, texts[0]);
        }
      }
}

TEST_CASE("a branch with another seed samples another text, and may itself be branched") {
  const auto model = load_model(kModel);
  BatchSession batch(model, naive(),
                     {.sampling = {.temperature = 1.5f, .seed = 5}, .max_seqs = 3, .cache = pages_of(4)});
  batch.add({3, 14, 15}, 12);
  batch.advance();
  const int32_t same = batch.fork(0), other = batch.fork(same, 6);
  CHECK(batch.n_running() == 3);
  CHECK_THROWS_WITH_AS(batch.fork(0), doctest::Contains("no sequence is free"), CapacityError);
  (void)run_to_end(batch);
  CHECK(batch.generation(same).tokens == batch.generation(0).tokens);
  CHECK(batch.generation(other).tokens != batch.generation(0).tokens);
  CHECK(batch.generation(other).parent == same);
}

TEST_CASE("fork and force are refused where they make no sense, and change nothing") {
  const auto model = load_model(kModel);
  BatchSession contiguous(model, eigen(), {.max_seqs = 2});
  contiguous.add({1, 2, 3}, 4);
  CHECK_THROWS_WITH_AS(contiguous.fork(0), doctest::Contains("does not run"), UsageError);
  contiguous.advance();
  CHECK_THROWS_WITH_AS(contiguous.fork(0), doctest::Contains("cannot share rows"), UsageError);
  CHECK_THROWS_WITH_AS(contiguous.fork(1), doctest::Contains("no generation 1"), UsageError);
  CHECK_THROWS_WITH_AS(contiguous.force(0, 50), doctest::Contains("token 50"), UsageError);
  CHECK(contiguous.n_generations() == 1);
  contiguous.advance();
  contiguous.go_to(0);
  CHECK_THROWS_WITH_AS(contiguous.force(0, 5), doctest::Contains("go_to(1) first"), UsageError);
}

TEST_CASE("ten prompts with one start: it is computed once, and every text is the same as without sharing") {
  const auto model = load_model(kModel);
  const std::vector<Request> requests = prompts_with_one_start();
  for (const int32_t block_len : {1, 3, 4}) {
    BatchSession batch(model, naive(), {.max_seqs = 10, .cache = pages_of(block_len, true)});
    for (const Request& request : requests) batch.add(request.prompt, request.n_tokens);
    int64_t prefill_tokens = 0;
    std::vector<Text> texts;
    while (const BatchStep* step = batch.advance()) {
      add_step(batch, texts);
      for (const SequenceStep& s : step->sequences)
        if (s.phase == Phase::prefill) prefill_tokens += s.q_len;
    }
    const int32_t n_shared = 9 / block_len * block_len;
    CHECK(prefill_tokens == 10 * 12 - 9 * n_shared);
    CHECK(batch.generation(0).n_prefix == 0);
    for (int32_t id = 1; id < 10; ++id) {
      CHECK(batch.generation(id).joined_step == 1);  // one step after the first
      CHECK(batch.generation(id).n_prefix == n_shared);
    }
    CHECK(batch.cache().prefix_counts().n_lookups == 10);
    CHECK(batch.cache().prefix_counts().n_hits == 9);
    CHECK(batch.cache().prefix_counts().tokens_found == 9 * n_shared);
    CHECK(texts == generated_together(model, naive(), requests, {.max_seqs = 10}));
  }
}

TEST_CASE("theorem: a prefix hit = a cold start, within rounding where sums have another order") {
  const auto model = load_model(kModel);
  const std::vector<Request> requests = prompts_with_one_start();
  const std::vector<Text> texts =
      generated_together(model, eigen(), requests, {.max_seqs = 4, .cache = pages_of(4, true)});
  for (size_t i = 0; i < requests.size(); ++i) expect_judged(*model, requests[i], texts[i]);
  const std::vector<Request> few(requests.begin(), requests.begin() + 2);
  const std::vector<Text> emulated = generated_together(model, make_backend("cuda-emulated", 2), few,
                                                        {.max_seqs = 2, .cache = pages_of(4, true)});
  for (size_t i = 0; i < few.size(); ++i) expect_judged(*model, few[i], emulated[i]);
}

TEST_CASE("rows of finished texts are found again, and evicted when the pool needs their blocks") {
  const auto model = load_model(kModel);
  BatchSession batch(model, naive(), {.max_seqs = 1, .max_seq_len = 16, .cache = pages_of(4, true, 4)});
  const std::vector<Request> requests = {{{1, 2, 3, 4, 5, 6, 7, 8, 9}, 4},
                                         {{1, 2, 3, 4, 5, 6, 7, 8, 10}, 3},
                                         {{9, 9, 9, 9, 9, 9, 9, 9, 9}, 7},
                                         {{1, 2, 3, 4, 5, 6, 7, 8, 9}, 2}};
  for (const Request& request : requests) batch.add(request.prompt, request.n_tokens);
  const std::vector<Text> texts = run_to_end(batch);
  CHECK(batch.generation(1).n_prefix == 8);
  CHECK(batch.generation(2).n_prefix == 0);
  CHECK(batch.cache().prefix_counts().blocks_evicted > 0);
  for (size_t i = 0; i < requests.size(); ++i)
    CHECK(texts[i] == generated_alone(model, naive(), requests[i]));
}

TEST_CASE("lineage goes through shared rows to the step that computed them") {
  const auto model = load_model(kModel);
  const RecordOptions record{.keep = RecordOptions::Keep::all};
  BatchSession batch(model, naive(), {.max_seqs = 3, .cache = pages_of(4, true), .record = record});
  batch.add({3, 14, 15, 9, 26, 5}, 4);    // step 0 computes the rows of its prompt
  batch.add({3, 14, 15, 9, 7, 7, 7}, 4);  // step 1: it has the first 4 rows from the cache
  batch.advance();
  const int32_t branch = batch.fork(0);
  batch.force(branch, 11);
  batch.advance();
  batch.advance();
  const Recorder& recorder = batch.recorder();
  const Lineage lineage(recorder);
  for (const SequenceStep& s : batch.step().sequences) {
    // The rows of V that the last attend of this sequence read, and the steps in which they were appended.
    const int32_t layer = 2, attend = lineage.find(2, layer, site::kAttend);
    const auto i = static_cast<int32_t>(&s - batch.step().sequences.data());
    const StepPlan& plan = recorder.plan(2);
    const Event& event = recorder.events(2)[static_cast<size_t>(attend)];
    std::vector<int32_t> appended;
    for (const Row& row : rows_read(event, plan, event.writes[0].at(plan.q_start[i])))
      if (row.space == RowSpace::v) {
        WrittenRow source = lineage.writer(row, 2, attend);
        while (recorder.events(source.step)[static_cast<size_t>(source.event)].op == kCopyBlocks) {
          const Event& copy = recorder.events(source.step)[static_cast<size_t>(source.event)];
          const std::vector<Row> from = rows_read(copy, recorder.plan(source.step), source.row);
          REQUIRE(from.size() == 1);
          source = lineage.writer(from[0], source.step, source.event);
        }
        appended.push_back(source.step);
      }
    std::ranges::sort(appended);
    CAPTURE(s.generation);
    if (s.generation == 1)
      CHECK(appended == std::vector<int32_t>{0, 0, 0, 0, 1, 1, 1, 2});
    else
      CHECK(appended == std::vector<int32_t>{0, 0, 0, 0, 0, 0, 1, 2});
  }
}
