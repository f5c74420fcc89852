// Each named fault makes a backend, and shows first where the list says. The caller's plan does not change.
#include "trace/named_faults.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "cache/make_cache.h"
#include "cache/paged_cache.h"
#include "core/error.h"
#include "judge/judged_logits.h"
#include "tests/trace/hand_run.h"
#include "tests/trace/tiny.h"
#include "trace/first_difference.h"
#include "trace/plan_edits.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

std::unique_ptr<Backend> naive() { return std::make_unique<NaiveBackend<float>>(); }

constexpr int32_t kGroupSize = 2;  // of Tiny and HandRun: 4 query heads, 2 K/V heads

using Tokens = std::vector<int32_t>;

/// Expects the logits that the whole text gives in one prefill, bit for bit.
void expect_logits(const HandRun& run, size_t part, const Tokens& text) {
  NaiveBackend<float> judge;
  const std::vector<double> all = judge::all_logits(*run.model, judge, text);
  const auto vocab_size = static_cast<std::ptrdiff_t>(run.logits[part].size());
  CHECK(run.logits[part] == std::vector<double>(all.end() - vocab_size, all.end()));
}

/// Feeds a step, and on a healthy run expects right logits. `texts`: the whole text of each part.
void feed(HandRun& run, bool healthy, const std::vector<Part>& parts, const std::vector<Tokens>& texts) {
  run.step(parts);
  for (size_t i = 0; healthy && i < parts.size(); ++i) expect_logits(run, i, texts[i]);
}

// ---- The runs that the values of Fault::needs stand for.

/// A text, a reset, and a second text in the same blocks, of which `recorder` holds the steps.
void one_text(HandRun& run, bool healthy) {
  const Tokens blocks = run.spec.block_len == HandRun::kContext ? Tokens{0} : Tokens{5, 0};
  const Tokens first = {7, 8, 9, 10, 11, 12, 13}, text = {3, 14, 15, 9, 26, 5};
  feed(run, healthy, {{0, blocks, 0, first}}, {first});
  run.recorder.clear();
  feed(run, healthy, {{0, blocks, 0, {3, 14, 15, 9, 26}}}, {{3, 14, 15, 9, 26}});
  feed(run, healthy, {{0, blocks, 5, {5}}}, {text});
}

/// A prompt in chunks of 5 and 3 tokens. Then one token.
void two_chunks(HandRun& run, bool healthy) {
  const Tokens blocks = {5, 0, 2};
  feed(run, healthy, {{0, blocks, 0, {3, 14, 15, 9, 26}}}, {{3, 14, 15, 9, 26}});
  feed(run, healthy, {{0, blocks, 5, {5, 35, 8}}}, {{3, 14, 15, 9, 26, 5, 35, 8}});
  feed(run, healthy, {{0, blocks, 8, {1}}}, {{3, 14, 15, 9, 26, 5, 35, 8, 1}});
}

/// Texts of 3 and 6 tokens side by side.
void two_lengths(HandRun& run, bool healthy) {
  const Tokens a = {3, 14, 15}, b = {9, 26, 5, 35, 8, 1};
  feed(run, healthy, {{0, {1}, 0, a}, {1, {4, 2}, 0, b}}, {a, b});
  feed(run, healthy, {{0, {1}, 3, {7}}, {1, {4, 2}, 6, {2}}}, {{3, 14, 15, 7}, {9, 26, 5, 35, 8, 1, 2}});
}

/// Step 0 feeds a text of two full blocks and a token more. In step 1, one text shares its first block, and
/// another has only the tokens of its second block in common, behind a first block of its own.
void two_prefixes(HandRun& run, bool healthy) {
  const Tokens text = {3, 14, 15, 9, 26, 5, 35, 8, 1};
  const Tokens sharing = {3, 14, 15, 9, 40, 41}, equal_block = {20, 21, 22, 23, 26, 5, 35, 8, 2};
  feed(run, healthy, {{0, {6, 1, 4}, 0, text}}, {text});
  feed(run, healthy, {{1, {6, 2}, 4, {40, 41}}, {2, {3, 5, 0}, 0, equal_block}}, {sharing, equal_block});
  feed(run, healthy, {{1, {6, 2}, 6, {42}}, {2, {3, 5, 0}, 9, {43}}},
       {{3, 14, 15, 9, 40, 41, 42}, {20, 21, 22, 23, 26, 5, 35, 8, 2, 43}});
}

/// A text as long as the window of layer 0, then a token more.
void beyond_the_window(HandRun& run, bool healthy) {
  feed(run, healthy, {{0, {2, 0}, 0, {3, 14, 15}}}, {{3, 14, 15}});
  feed(run, healthy, {{0, {2, 0}, 3, {9}}}, {{3, 14, 15, 9}});
}

/// A ring with a window of 3 on blocks of one row: the chunk of step 1 finds row 0 forgotten, and the last token
/// rows 0 to 2.
void forgotten_rows(HandRun& run, bool healthy) {
  const auto feed_ring = [&](const Part& part, const Tokens& text) {
    StepPlan plan = run.plan_of({part});
    plan.window = 3;
    run.step(plan);
    if (healthy) expect_logits(run, 0, text);
  };
  feed_ring({.blocks = {7, 2, 9}, .tokens = {3, 14, 15}}, {3, 14, 15});
  feed_ring({.blocks = {2, 9, 4, 7}, .past = 2, .tokens = {9, 26}, .n_forgotten = 1}, {3, 14, 15, 9, 26});
  feed_ring({.blocks = {4, 7, 2}, .past = 2, .tokens = {5}, .n_forgotten = 3}, {3, 14, 15, 9, 26, 5});
}

/// The same ring with new positions. All distances are those of kept positions, so the logits are those of the
/// window, up to rounding.
void forgotten_rows_anew(HandRun& run, bool healthy) {
  run.workspace.make_rotated_keys(run.spec, run.tracing);
  const auto feed_ring = [&](const Part& part, const Tokens& text) {
    StepPlan plan = run.plan_of({part});
    plan.window = 3;
    const int32_t kv_len = plan.kv_len[0];
    for (int32_t s = 0; s < plan.keys_per_seq(); ++s) {
      plan.key_positions.push_back(s < kv_len ? part.n_forgotten + s : -1);
      plan.new_key_positions.push_back(s < kv_len ? s : -1);
    }
    for (int32_t t = 0; t < plan.n_tokens(); ++t) plan.new_positions.push_back(part.past + t);
    run.step(plan);
    if (!healthy) return;
    NaiveBackend<double> judge;
    const std::vector<double> all = judge::all_logits(*run.model, judge, text);
    const std::vector<double>& got = run.logits[0];
    for (size_t i = 0; i < got.size(); ++i) CHECK(std::abs(got[i] - all[all.size() - got.size() + i]) < 1e-5);
  };
  feed_ring({.blocks = {7, 2, 9}, .tokens = {3, 14, 15}}, {3, 14, 15});
  feed_ring({.blocks = {2, 9, 4}, .past = 2, .tokens = {9}, .n_forgotten = 1}, {3, 14, 15, 9});
}

/// K as int8-channel, V in f32, for steps of three tokens.
CacheSpec channel_spec() {
  return cache_spec({.kind = "paged", .block_len = 4, .dtype_k = DType::i8_channel},
                    {.n_layers = HandRun::kLayers,
                     .n_kv_heads = 2,
                     .head_dim = 8,
                     .max_seq_len = HandRun::kContext,
                     .longest_step = 3});
}

/// The third step reads block 0 in f32 and seals it. So its logits are still exact, and the fourth step reads int8.
const std::vector<Tokens> kSealing = {{3, 14, 15}, {9, 26, 5}, {35}, {8}};

/// Returns the number of blocks that the step seals.
size_t feed_through(PagedCache& cache, HandRun& run, const Tokens& tokens) {
  const SequenceInput input{0, tokens, LogitRows::last};
  const StepPlan& plan = cache.plan({&input, 1});
  run.step(plan);
  cache.commit(plan);
  return plan.seals.size();
}

void sealed_blocks(HandRun& run, bool healthy) {
  PagedCache cache(run.spec, 1);
  Tokens all;
  for (size_t step = 0; step < kSealing.size(); ++step) {
    CHECK(feed_through(cache, run, kSealing[step]) == (step == 2 ? 1 : 0));
    all.insert(all.end(), kSealing[step].begin(), kSealing[step].end());
    if (healthy && step <= 2) expect_logits(run, 0, all);
  }
}

std::shared_ptr<const Model> model_for(std::string_view needs) {
  if (needs == "window") return HandRun::windowed_model();
  return needs == "forgetting" || needs == "new-positions" ? HandRun::windowed_model(1)
                                                           : HandRun::small_model();
}

void run_what_it_needs(std::string_view needs, HandRun& run, bool healthy) {
  if (needs.empty() || needs == "paged")
    one_text(run, healthy);
  else if (needs == "chunks")
    two_chunks(run, healthy);
  else if (needs == "batch")
    two_lengths(run, healthy);
  else if (needs == "prefix")
    two_prefixes(run, healthy);
  else if (needs == "window")
    beyond_the_window(run, healthy);
  else if (needs == "forgetting")
    forgotten_rows(run, healthy);
  else if (needs == "new-positions")
    forgotten_rows_anew(run, healthy);
  else if (needs == "int8-channel")
    sealed_blocks(run, healthy);
  else
    FAIL("a fault needs an unknown run: " << std::string(needs));
}

}  // namespace

TEST_CASE("the fault scale-twice gives what the square of the scale gives") {
  const auto right = naive(), faulty = with_fault("scale-twice", naive(), kGroupSize);
  Tiny a(*right), b(*faulty);
  CHECK(same_bits(a.step(*right, 4, false, {{.scale = 0.25f}, {}})[0].view(),
                  b.step(*faulty, 4, false, {{.scale = 0.5f}, {}})[0].view()));
}

TEST_CASE("the fault mask-top-left shows in decode, not in the prefill; the cache counts as always") {
  const auto right = naive(), faulty = with_fault("mask-top-left", naive(), kGroupSize);
  Tiny a(*right), b(*faulty);
  CHECK(same_bits(a.step(*right, 4)[0].view(), b.step(*faulty, 4)[0].view()));
  CHECK_FALSE(same_bits(a.step(*right, 1)[0].view(), b.step(*faulty, 1)[0].view()));
  CHECK(b.cache().length(0) == 5);
}

TEST_CASE("the fault repeat-kv changes no number; its cache is larger by the group size") {
  const auto right = naive(), faulty = with_fault("repeat-kv", naive(), kGroupSize);
  Tiny a(*right), b(*faulty);
  CHECK(same_bits(a.step(*right, 4)[1].view(), b.step(*faulty, 4)[1].view()));
  CHECK(b.storage().bytes() == kGroupSize * a.storage().bytes());
}

TEST_CASE("the fault inherited-window gives what a window in every layer gives") {
  const auto faulty = with_fault("inherited-window", naive(), kGroupSize), right = naive();
  const auto everywhere = HandRun::windowed_model(1);
  HandRun a(*faulty, 4, HandRun::windowed_model()), b(*right, 4, everywhere);
  for (HandRun* const run : {&a, &b}) beyond_the_window(*run, false);
  CHECK(a.logits == b.logits);
}

TEST_CASE("the fault token-scales gives what K in int8 gives, and needs less memory") {
  const auto faulty = with_fault("token-scales", naive(), kGroupSize), right = naive();
  CacheSpec int8 = channel_spec();
  int8.dtype_k = DType::i8;
  int8.longest_step = int8.n_open_blocks = 0;
  HandRun a(*faulty, HandRun::small_model(), channel_spec()), b(*right, HandRun::small_model(), int8);
  PagedCache with_open(a.spec, 1), without(b.spec, 1);
  for (const Tokens& tokens : kSealing) {
    feed_through(with_open, a, tokens);
    feed_through(without, b, tokens);
    CHECK(a.logits == b.logits);
  }
  CHECK(a.storage->bytes() == b.storage->bytes());
}

TEST_CASE("the fault ring-short gives what a window one key shorter gives, and leaves a window of one key") {
  for (const int32_t window : {1, 2, 3}) {
    CAPTURE(window);
    const auto faulty = with_fault("ring-short", naive(), kGroupSize), right = naive();
    HandRun a(*faulty, 1), b(*right, 1);
    const auto feed_window = [](HandRun& run, int32_t n_keys) {
      StepPlan plan = run.plan_of({{.blocks = {7, 2, 9, 4}, .tokens = {3, 14, 15, 9}}});
      plan.window = n_keys;
      run.step(plan);
    };
    feed_window(a, window);
    feed_window(b, std::max(1, window - 1));
    CHECK(a.logits == b.logits);
  }
}

TEST_CASE("forgetting the oldest rows of a table: behind the sinks, across a block, with their positions") {
  // Blocks of 2. Index 0 is the sink, in block 5. The indices 1 to 4 have the slots 8.1, 3.0, 3.1 and 6.0.
  StepPlan plan;
  plan.block_len = 2, plan.blocks_per_seq = 5, plan.table_sinks = 1;
  plan.q_start = {0, 1}, plan.kv_len = {5}, plan.table_first = {1};
  plan.block_tables = {5, 8, 3, 6, -1};
  plan.key_positions = {0, 11, 12, 13, 14, -1, -1, -1, -1, -1};
  forget_oldest(plan, 0, 2);
  CHECK(plan.kv_len == Tokens{3});
  CHECK(plan.block_tables == Tokens{5, 3, 6, -1, -1});
  CHECK(plan.table_first == Tokens{1});
  CHECK(slots_of(plan, 0, 0, 3) == std::vector<int64_t>{5 * 2, 3 * 2 + 1, 6 * 2});
  CHECK(Tokens(plan.key_positions.begin(), plan.key_positions.begin() + 3) == Tokens{0, 13, 14});
}

TEST_CASE("every named fault shows first where the list says, in the run that it needs") {
  for (const Fault& fault : faults()) {
    CAPTURE(std::string(fault.name));
    const int32_t block_len = fault.needs.empty() ? HandRun::kContext
                              : fault.needs == "forgetting" || fault.needs == "new-positions" ? 1
                                                                                              : 4;
    const auto right = naive(), wrong = with_fault(std::string(fault.name), naive(), kGroupSize);
    const auto model = model_for(fault.needs);
    const auto hand_run = [&](Backend& backend) {
      return fault.needs == "int8-channel" ? std::make_unique<HandRun>(backend, model, channel_spec())
                                           : std::make_unique<HandRun>(backend, block_len, model);
    };
    const auto healthy = hand_run(*right), faulty = hand_run(*wrong);
    run_what_it_needs(fault.needs, *healthy, true);
    run_what_it_needs(fault.needs, *faulty, false);
    const auto d = first_difference(healthy->recorder, faulty->recorder);
    CHECK((d ? d->place() : "") == fault.first);
  }
}

TEST_CASE("every named fault runs, and an unknown one is refused with the list of names") {
  for (const Fault& fault : faults()) {
    CAPTURE(std::string(fault.name));
    const auto faulty = with_fault(std::string(fault.name), naive(), kGroupSize);
    Tiny tiny(*faulty);
    tiny.step(*faulty, 3);
    tiny.step(*faulty, 1);
    CHECK(tiny.cache().length(0) == 4);
    CHECK_THROWS_WITH_AS(with_fault("nope", naive(), 1), doctest::Contains(std::string(fault.name).c_str()),
                         UsageError);
  }
}
