// Texts that are longer than the model's context, on a window cache that uses new positions (StreamingLLM).
#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>

#include "session/session_cache.h"
#include "session/twin.h"
#include "tests/session/texts.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

constexpr int32_t kContext = 40, kTextLen = 10 * kContext;

std::string model_of(int32_t context, const std::string& more = "") {
  return fmt::format("random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context={},seed=2{}", context,
                     more);
}

SessionOptions streaming(int32_t window, int32_t sinks, int32_t block_len = 2) {
  return {.max_seq_len = kTextLen,
          .cache = {.kind = "window",
                    .block_len = block_len,
                    .window = window,
                    .sinks = sinks,
                    .positions = Positions::renumbered}};
}

/// Token n of a long text.
int32_t token_of(int32_t n) { return (7 * n + n / 40 * 11 + 3) % 50; }

std::vector<int32_t> tokens_of(int32_t begin, int32_t end) {
  std::vector<int32_t> tokens;
  for (int32_t n = begin; n < end; ++n) tokens.push_back(token_of(n));
  return tokens;
}

/// The logits after the last token of the prompt.
std::vector<float> logits_after(DecodeSession& s, const std::vector<int32_t>& prompt) {
  s.start(prompt);
  for (int32_t step = 0; step < s.n_prefill_steps(); ++step) s.advance();
  return logits_of(s);
}

/// The logits after each token of the long text.
std::vector<std::vector<float>> feed_all(DecodeSession& s, int32_t n_tokens = kTextLen) {
  std::vector<std::vector<float>> logits;
  s.start({token_of(0)});
  for (int32_t n = 0; n < n_tokens; ++n) {
    s.advance(n == 0 ? -1 : token_of(n));
    logits.push_back(logits_of(s));
  }
  return logits;
}

}  // namespace

TEST_CASE("by eye: ten contexts of text, five rows, and no position above four") {
  SessionOptions options = streaming(4, 1);
  options.record = RecordOptions{.keep = RecordOptions::Keep::all, .ops = {}};
  DecodeSession s(load_model(model_of(kContext)), naive(), options);
  feed_all(s);
  CHECK(s.n_tokens_at(s.current_step()) == 400);
  CHECK(s.context_full());
  CHECK(s.record().position == 399);  // its number in the text
  CHECK(s.record().rows_held == 4);
  const StepPlan& last = s.recorder().plan(399);
  CHECK(last.new_positions == std::vector<int32_t>{4});
  CHECK(std::vector<int32_t>(last.new_key_positions.begin(), last.new_key_positions.begin() + 5) ==
        std::vector<int32_t>{0, 1, 2, 3, 4});
  CHECK(std::vector<int32_t>(last.key_positions.begin(), last.key_positions.begin() + 5) ==
        std::vector<int32_t>{0, 396, 397, 398, 399});
  for (const int32_t step : s.recorder().steps()) {
    const StepPlan& plan = s.recorder().plan(step);
    for (const int32_t position : plan.new_positions) REQUIRE(position < 4 + 1);
    for (const int32_t position : plan.new_key_positions) REQUIRE(position < 4 + 1);
    REQUIRE(plan.kv_len[0] <= 4 + 1);
  }
}

TEST_CASE("the cache has the same bytes for a text of ten contexts as for one, and the blocks stay") {
  const auto model = load_model(model_of(kContext));
  SessionOptions options = streaming(6, 3);
  DecodeSession ten(model, naive(), options);
  options.max_seq_len = 0;
  DecodeSession one(model, naive(), options);
  CHECK(one.max_seq_len() == kContext);
  CHECK(ten.max_seq_len() == kTextLen);
  CHECK(ten.storage_bytes() == one.storage_bytes());
  feed_all(one, kContext);
  feed_all(ten);
  CHECK(ten.record().bytes_held == one.record().bytes_held);
  CHECK(ten.record().cache_bytes_read == one.record().cache_bytes_read);
  CHECK(ten.record().flop == one.record().flop);
}

TEST_CASE("theorem: the model's context does not matter, to the last bit on every backend") {
  // The two models have the same weights, and the RoPE table of the shorter one is the beginning of the longer one.
  for (const char* more : {"", ",alibi=1"})
    for (const Factory make : {&naive, &eigen, &emulated}) {
      DecodeSession ten(load_model(model_of(kContext, more)), make(), streaming(5, 2)),
          one(load_model(model_of(kTextLen, more)), make(), streaming(5, 2));
      CHECK(feed_all(ten) == feed_all(one));
    }
}

TEST_CASE("theorem: only the sinks and the last layers · (window - 1) + 1 tokens reach the logits") {
  // A key of layer l comes from the tokens in the window of its token in layer l − 1, and so on down. As soon as the
  // ring is full, each row has the position that it has at the end of any longer text. So a fresh session that is fed
  // the sinks and these last tokens gives the same bits.
  const auto model = load_model(model_of(kContext));
  for (const auto& [window, sinks] : {std::pair{4, 0}, {4, 2}, {1, 3}, {7, 1}}) {
    CAPTURE(window);
    CAPTURE(sinks);
    DecodeSession long_one(model, naive(), streaming(window, sinks)),
        fresh(model, naive(), streaming(window, sinks));
    const std::vector<std::vector<float>> logits = feed_all(long_one);
    const int32_t reach = 2 * (window - 1) + 1;  // 2 layers
    const auto rest_of_text = [&](int32_t n, int32_t n_last) {
      std::vector<int32_t> prompt = tokens_of(0, sinks);
      const std::vector<int32_t> last = tokens_of(n - n_last, n);
      prompt.insert(prompt.end(), last.begin(), last.end());
      return logits_after(fresh, prompt);
    };
    for (const int32_t n : {sinks + reach, kContext, kContext + 1, 137, kTextLen}) {
      CAPTURE(n);
      const std::vector<float>& whole = logits[static_cast<size_t>(n) - 1];
      CHECK(rest_of_text(n, reach) == whole);
      if (window > 1 && n > sinks + reach) CHECK(rest_of_text(n, reach - 1) != whole);
    }
  }
}

TEST_CASE("theorem: cached = recompute, to the last bit on naive, also behind the context") {
  SessionOptions options = streaming(5, 2);
  options.max_seq_len = 3 * kContext;
  TwinSession twin(load_model(model_of(kContext)), naive(), naive(), options);
  twin.start(tokens_of(0, 10));
  while (!twin.cached().context_full()) {
    twin.advance();
    REQUIRE(twin.max_abs_logit_diff() == 0);
  }
  CHECK(twin.recompute().record().q_len == 3 * kContext);
  CHECK(twin.recompute().record().cache_bytes_read == 0);
}

TEST_CASE("stepping back behind the context gives the same bits, and so do pokes that are taken back") {
  DecodeSession s(load_model(model_of(kContext)), naive(), streaming(5, 2));
  const auto logits = feed_all(s);
  for (const int32_t step : {399, 398, 41, 40, 39, 0, 250, 399}) {
    CAPTURE(step);
    s.go_to(step);
    CHECK(logits_of(s) == logits[static_cast<size_t>(step)]);
  }
  s.set_pokes({{.what = Poke::What::k, .layer = 0, .position = 397, .seed = 7, .when = Poke::When::since}});
  CHECK(logits_of(s) != logits.back());
  s.set_pokes({});
  CHECK(logits_of(s) == logits.back());
}

TEST_CASE("the step that is too long for the session is refused, and the text is kept") {
  SessionOptions options = streaming(4, 1);
  options.max_seq_len = kContext + 2;
  DecodeSession s(load_model(model_of(kContext)), naive(), options);
  CHECK_THROWS_WITH_AS(s.start(tokens_of(0, kContext + 3)),
                       "the prompt has 43 tokens, but max_seq_len has room for 42: shorten the prompt",
                       CapacityError);
  const auto logits = feed_all(s, kContext + 2);
  CHECK_THROWS_WITH_AS(
      s.advance(),
      "max_seq_len of 42 tokens is full, and the text so far is kept: start again with a shorter "
      "prompt, or make the session for a longer text",
      CapacityError);
  CHECK(logits_of(s) == logits.back());
}

TEST_CASE("a trace of a text behind the context comes back from its file") {
  SessionOptions options = streaming(4, 1);
  options.max_seq_len = kContext + 10;
  options.record = RecordOptions{.keep = RecordOptions::Keep::all};
  DecodeSession s(load_model(model_of(kContext)), naive(), options);
  feed_all(s, kContext + 10);
  const auto path = std::filesystem::temp_directory_path() / fmt::format("lastrow-stream-{}", getpid());
  write_trace(path, s.recorder(), {});
  const TraceFile trace = TraceFile::open(path);
  std::filesystem::remove(path);
  const int32_t last = s.current_step();
  CHECK(trace.recorder.plan(last).positions == std::vector<int32_t>{kContext + 9});
  CHECK(trace.recorder.plan(last).new_positions == std::vector<int32_t>{4});
  REQUIRE(trace.recorder.evicted(last).size() == 1);
  CHECK(trace.recorder.evicted(last)[0].position == kContext + 9 - 3);
  CHECK(positions_behind(trace.recorder, last, -1, "lm_head") ==
        std::vector<int32_t>{0, 43, 44, 45, 46, 47, 48, 49});
}

TEST_CASE("which texts may be longer than the context") {
  const auto model = load_model(model_of(kContext));
  SessionOptions options = streaming(36, 4);
  CHECK(DecodeSession(model, naive(), options).max_seq_len() == kTextLen);
  options.cache.window = 37;
  CHECK_THROWS_WITH_AS(
      DecodeSession(model, naive(), options),
      doctest::Contains("positions=new gives 41 keys the positions 0 to 40, but the context of"), UsageError);
  // Activations take the room of one token, however long the text is.
  CHECK(longest_forward(options.cache, kTextLen) == 1);
  CHECK(longest_forward(paged(4), kContext) == kContext);
  for (CacheOptions cache : {CacheOptions{}, paged(4), CacheOptions{.kind = "window", .window = 4},
                             CacheOptions{.kind = "budget", .budget = 4}}) {
    CAPTURE(cache.kind);
    CHECK_THROWS_WITH_AS(DecodeSession(model, naive(), {.max_seq_len = kContext + 1, .cache = cache}),
                         doctest::Contains("only a cache with positions=new takes a longer text"),
                         CapacityError);
    CHECK(DecodeSession(model, naive(), {.cache = cache}).max_seq_len() == kContext);
  }
  CHECK_THROWS_AS(DecodeSession(model, naive(), {.max_seq_len = -1, .cache = options.cache}), UsageError);
  options = streaming(4, 1);
  options.max_seq_len = -1;
  CHECK_THROWS_WITH_AS(DecodeSession(model, naive(), options), doctest::Contains("max_seq_len -1"),
                       CapacityError);
}
