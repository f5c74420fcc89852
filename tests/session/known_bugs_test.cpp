// Known bugs of programs that share, batch and chunk, each looked for in our own caches and sessions.
//
// Each case is a run. On correct code its logits are those that the judge computes for the whole text in one
// prefill. With the bug built in, the logits differ, and the first difference is where the list of faults
// says. So the case would catch the bug in lastrow.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "cache/paged_cache.h"
#include "judge/judged_logits.h"
#include "session/batch_session.h"
#include "session/session.h"
#include "tests/support/backends.h"
#include "tests/trace/hand_run.h"
#include "trace/first_difference.h"
#include "trace/named_faults.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

using Tokens = std::vector<int32_t>;

std::shared_ptr<const Model> model() {
  static const std::shared_ptr<const Model> small = test::HandRun::small_model();
  return small;
}

const RecordOptions kEverything = {.keep = RecordOptions::Keep::all, .ops = {"*"}};

CacheOptions pages(bool share_prefix = false) {
  return {.kind = "paged", .block_len = 4, .share_prefix = share_prefix};
}

/// What a run computed last: all tokens that it fed to the text, and the logits behind them.
struct Ran {
  Tokens text;
  std::vector<double> logits;
  std::shared_ptr<const void> session;  // owns the recorder
  const Recorder* recorder;
  std::shared_ptr<const Model> of = model();

  /// The largest difference from the judge's logits, divided by what rounding may explain.
  double error() const {
    const judge::JudgedLogits judged = judge::judged_logits(*of, text);
    const auto n = static_cast<std::ptrdiff_t>(logits.size());
    return judge::difference(logits, {judged.logits.end() - n, judged.logits.end()}).largest / judged.bound;
  }
};
using Run = std::function<Ran(std::unique_ptr<Backend>)>;

/// The text of a session.
Run text_of(SessionOptions options, std::function<void(DecodeSession&)> script,
            std::shared_ptr<const Model> of = model()) {
  options.record = kEverything;
  return [=](std::unique_ptr<Backend> backend) -> Ran {
    const auto session = std::make_shared<DecodeSession>(of, std::move(backend), options);
    script(*session);
    const auto tokens = session->tokens();
    const auto logits = session->logits();
    return {
        {tokens.begin(), tokens.end()}, {logits.begin(), logits.end()}, session, &session->recorder(), of};
  };
}

/// One generation of a batch, after the step that chose its last token. The text is what was fed until then.
Run generation_of(BatchOptions options, std::function<int32_t(BatchSession&)> script) {
  options.record = kEverything;
  return [=](std::unique_ptr<Backend> backend) -> Ran {
    const auto session = std::make_shared<BatchSession>(model(), std::move(backend), options);
    const Generation& g = session->generation(script(*session));
    Tokens text = g.prompt;
    text.insert(text.end(), g.tokens.begin(), g.tokens.end() - 1);
    return {text, {g.logits.begin(), g.logits.end()}, session, &session->recorder()};
  };
}

/// Runs it on every backend, healthy and with the fault.
void expect_caught(const std::string& name, const Run& run) {
  const auto fault = std::ranges::find(faults(), name, &Fault::name);
  REQUIRE(fault != faults().end());
  std::vector<std::unique_ptr<Backend>> healthy = all_backends(), faulty = all_backends();
  for (size_t i = 0; i < healthy.size(); ++i) {
    const BackendInfo info = healthy[i]->info();
    CAPTURE(info.name);
    const Ran right = run(std::move(healthy[i]));
    const Ran wrong = run(with_fault(name, std::move(faulty[i]), model()->config().group_size()));
    CHECK(right.error() <= 1);
    CHECK(wrong.error() > 1);
    if (!info.name.starts_with("naive")) continue;  // elsewhere rounding may depend on the rest of the step
    const auto d = first_difference(*right.recorder, *wrong.recorder);
    REQUIRE(d);
    CHECK(d->place() == fault->first);
  }
}

/// A text, a reset, and another text in the same slots.
void two_texts(DecodeSession& s) {
  s.start({7, 8, 9, 10, 11, 12, 13});
  s.advance();
  s.start({3, 14, 15, 9, 26});
  s.advance();
  s.advance(5);
}

void run_all_steps(BatchSession& batch) {
  while (batch.advance() != nullptr) {
  }
}

const Tokens kBlocksText = {3, 14, 15, 9, 26, 5, 35, 8, 1};    // two full blocks of 4, and a token
const Tokens kEqualBlock = {20, 21, 22, 23, 26, 5, 35, 8, 2};  // its second block has the same tokens
const Tokens kSharing = {3, 14, 15, 9, 40, 41};                // begins with the first block of kBlocksText

}  // namespace

TEST_CASE("the empty rows of a static cache are not attended to") {
  expect_caught("empty-rows", text_of({}, two_texts));
}

TEST_CASE("the tail of the last block is masked, whatever an earlier text left in it") {
  expect_caught("block-tail", text_of({.cache = pages()}, two_texts));
}

TEST_CASE(
    "K as int8-channel: rows of blocks that have no scales yet are in f32, and not rounded row by row") {
  CacheOptions cache = pages();
  cache.dtype_k = DType::i8_channel;
  expect_caught("token-scales", text_of({.cache = cache}, [](DecodeSession& s) {
                  s.start({3, 14, 15, 9, 26});  // chunks of 4 and 1
                  s.advance();
                  s.advance();
                  s.advance(5);
                }));
}

TEST_CASE("rows 16 and 17: slots that hold no row may hold NaN, in every step, on every backend") {
  // HandRun fills all slots with NaN. With blocks of 3, a decode, a chunk and a short text end within a
  // block.
  for (const int32_t block_len : {1, 3, 4, 32})
    for (const std::unique_ptr<Backend>& backend : all_backends()) {
      if (!backend->info().in_host_memory) continue;  // the test fills the storage itself
      CAPTURE(backend->info().name);
      CAPTURE(block_len);
      test::HandRun run(*backend, block_len);
      PagedCache cache(run.spec, 2);
      std::vector<Tokens> texts(2);
      const auto feed = [&](const std::vector<Tokens>& tokens) {
        std::vector<SequenceInput> inputs;
        for (int32_t i = 0; i < 2; ++i) inputs.push_back({i, tokens[static_cast<size_t>(i)]});
        const StepPlan& plan = cache.plan(inputs);
        run.step(plan);
        cache.commit(plan);
        for (size_t i = 0; i < 2; ++i) {
          texts[i].insert(texts[i].end(), tokens[i].begin(), tokens[i].end());
          CHECK(Ran{texts[i], run.logits[i], {}, nullptr}.error() <= 1);
        }
      };
      feed({{3, 14, 15, 9, 26}, {7}});
      feed({{5}, {8, 9, 10, 11, 12, 13}});
      feed({{35}, {14}});
    }
}

TEST_CASE("positions go on from chunk to chunk of a prefill") {
  for (const CacheOptions& cache : {CacheOptions{}, pages()})
    expect_caught("chunk-positions", text_of({.chunk = 5, .cache = cache}, [](DecodeSession& s) {
                    s.start({3, 14, 15, 9, 26, 5, 35, 8});
                    s.advance();
                    s.advance();
                  }));
}

TEST_CASE("in a batch, a short sequence keeps its own positions") {
  for (const CacheOptions& cache : {CacheOptions{}, pages()})
    expect_caught("padded-positions", generation_of({.max_seqs = 2, .cache = cache}, [](BatchSession& batch) {
                    const int32_t short_one = batch.add({3, 14, 15}, 2);
                    batch.add(kBlocksText, 2);
                    run_all_steps(batch);
                    return short_one;
                  }));
}

TEST_CASE("a block of equal tokens behind another text is not the same block") {
  // The third text finds its first block, computed for the second text. Its next block has the tokens of the
  // first text's second block, but other tokens come before them.
  expect_caught("block-alone-key",
                generation_of({.max_seqs = 2, .cache = pages(true)}, [](BatchSession& batch) {
                  batch.add(kBlocksText, 1);
                  batch.add({20, 21, 22, 23, 2}, 1);
                  const int32_t third = batch.add(kEqualBlock, 1);
                  run_all_steps(batch);
                  CHECK(batch.generation(third).n_prefix == 4);
                  return third;
                }));
}

TEST_CASE("texts whose hashes collide never get each other's rows") {
  const auto all_collide = [](uint64_t, std::span<const int32_t>) -> uint64_t { return 7; };
  NaiveBackend<float> naive;
  test::HandRun run(naive);
  PagedCache cache(run.spec, 4, SharePrefixes::yes, all_collide);
  const auto feed = [&](int32_t sequence, const Tokens& text, int32_t n_found) {
    const int32_t n = cache.adopt_prefix(sequence, text);
    CHECK(n == n_found);
    const SequenceInput rest{sequence, std::span(text).subspan(static_cast<size_t>(n)), LogitRows::last};
    const StepPlan& plan = cache.plan({&rest, 1});
    run.step(plan);
    cache.commit(plan);
    CHECK(Ran{text, run.logits[0], {}, nullptr}.error() <= 1);
  };
  feed(0, kBlocksText, 0);
  feed(1, {20, 21, 22, 23, 2}, 0);
  feed(2, kEqualBlock, 4);
  feed(3, kSharing, 4);
}

TEST_CASE("the prefill after a prefix hit reads the rows that it shares") {
  expect_caught("unread-prefix",
                generation_of({.max_seqs = 1, .cache = pages(true)}, [](BatchSession& batch) {
                  batch.add(kBlocksText, 1);
                  const int32_t second = batch.add(kSharing, 1);
                  run_all_steps(batch);
                  CHECK(batch.generation(second).n_prefix == 4);
                  return second;
                }));
}

TEST_CASE("a second turn sees the first") {
  for (const CacheOptions& cache : {CacheOptions{}, pages()})
    expect_caught("second-turn", text_of({.cache = cache}, [](DecodeSession& s) {
                    s.start({3, 14, 15, 9, 26});
                    s.advance();
                    s.advance(Tokens{5, 35, 8});
                  }));
}

TEST_CASE("a layer with full attention sees what the window of the layer before it hides") {
  for (const CacheOptions& cache : {CacheOptions{}, pages()})
    expect_caught("inherited-window", text_of(
                                          {.cache = cache},
                                          [](DecodeSession& s) {
                                            s.start({3, 14, 15});  // as long as the window
                                            s.advance();
                                            s.advance(9);
                                          },
                                          test::HandRun::windowed_model()));
}

TEST_CASE(
    "a ring keeps the whole window, what the first queries of a chunk see, and the positions of the text") {
  CacheOptions ring;
  try {
    ring = cache_options("window:w=3,block=2");
  } catch (const UsageError&) {
    MESSAGE("skipped: this build has no window cache");
    return;
  }
  for (const char* fault : {"ring-short", "window-rolled-early", "offset-kept"})
    expect_caught(fault, text_of(
                             {.chunk = 3, .cache = ring},
                             [](DecodeSession& s) {
                               s.start({3, 14, 15, 9, 26});  // chunks of 3 and 2 tokens
                               s.advance();
                               s.advance();
                             },
                             test::HandRun::windowed_model(1)));
}
