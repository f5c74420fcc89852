// Several generations in one packed step: what a step counts, and that each text is the one that it would be
// alone.
#include <doctest/doctest.h>

#include <numeric>

#include "tests/session/batch_texts.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// With three sequences, these join at steps 0, 0, 0, 1, 4 and 6, and leave at steps 3, 0, 5, 9, 6 and 6.
const std::vector<Request> kRequests = {{{3, 14, 15, 9, 26}, 4},    {{7}, 1},
                                        {{2, 7, 1, 8, 2, 8, 1}, 6}, {{1, 4}, 9},
                                        {{3, 14, 15}, 3},           {{9, 9, 9, 9}, 1}};

}  // namespace

TEST_CASE("two prompts in one step, by eye: 2 layers, 2 heads") {
  const auto model = load_model("random:layers=2,q_heads=2,kv_heads=1,head_dim=4,vocab=10,context=8");
  BatchSession batch(model, eigen(), {.max_seqs = 2});
  CHECK(batch.add({1, 2, 3}, 2) == 0);
  CHECK(batch.add({4, 5}, 1) == 1);
  CHECK(batch.current_step() == -1);
  CHECK(batch.n_waiting() == 2);

  const BatchStep* step = batch.advance();
  REQUIRE(step != nullptr);
  CHECK(step->total.phase == Phase::prefill);
  CHECK(step->total.q_len == 3 + 2);
  CHECK(step->total.kv_len == 3 + 2);
  CHECK(step->total.q_rows == 5 * 2);
  REQUIRE(step->sequences.size() == 2);
  const SequenceStep &a = step->sequences[0], &b = step->sequences[1];
  CHECK(a.generation == 0);
  CHECK(b.generation == 1);
  CHECK(a.position == 2);
  CHECK(b.position == 1);
  CHECK(a.q_len == 3);
  CHECK(b.q_len == 2);
  CHECK(a.score_cells == (1 + 2 + 3) * 2 * 2);  // visible pairs × heads × layers: 0 sees nothing of 1
  CHECK(b.score_cells == (1 + 2) * 2 * 2);
  CHECK_FALSE(a.leaves);
  CHECK(b.leaves);  // it asked for one token
  CHECK(step->usage.rows_held == 5);
  CHECK(batch.cache().usage().rows_held == 3);  // generation 1 gave its rows back

  step = batch.advance();
  REQUIRE(step != nullptr);
  CHECK(step->total.phase == Phase::decode);
  CHECK(step->total.q_len == 1);
  CHECK(step->sequences.size() == 1);
  CHECK(step->sequences[0].kv_len == 4);
  CHECK(batch.advance() == nullptr);
  CHECK(batch.current_step() == 1);

  const Generation &first = batch.generation(0), &second = batch.generation(1);
  CHECK(first.tokens.size() == 2);
  CHECK(second.tokens.size() == 1);
  CHECK(first.joined_step == 0);
  CHECK(first.left_step == 1);
  CHECK(second.left_step == 0);
  CHECK(first.first_token_us > 0);
  CHECK(first.queued_us > 0);
}

TEST_CASE("generations join when a sequence becomes free, and leave after their last token") {
  const auto model = load_model(kKinds[0]);
  BatchSession batch(model, eigen(), {.max_seqs = 3});
  for (const Request& request : kRequests) batch.add(request.prompt, request.n_tokens);
  (void)run_to_end(batch);
  const std::vector<int32_t> joined = {0, 0, 0, 1, 4, 6}, left = {3, 0, 5, 9, 6, 6};
  for (int32_t id = 0; id < 6; ++id) {
    CAPTURE(id);
    CHECK(batch.generation(id).joined_step == joined[static_cast<size_t>(id)]);
    CHECK(batch.generation(id).left_step == left[static_cast<size_t>(id)]);
    CHECK(batch.generation(id).state == Generation::State::done);
  }
  CHECK(batch.cache().usage().rows_held == 0);
}

TEST_CASE("what a step did for each sequence adds up to what was counted") {
  const auto model = load_model(kKinds[1]);
  const CacheOptions int8{.dtype_k = DType::i8, .dtype_v = DType::i8};
  for (const auto& [make, cache] : {std::pair{&eigen, int8},
                                    {&eigen, CacheOptions{}},
                                    {&exact, CacheOptions{}}}) {  // the judge stores f64 for f32
    BatchSession batch(model, make(), {.max_seqs = 3, .cache = cache});
    for (const Request& request : kRequests) batch.add(request.prompt, request.n_tokens);
    while (const BatchStep* step = batch.advance()) {
      const auto sum = [&](auto member) {
        return std::accumulate(step->sequences.begin(), step->sequences.end(), int64_t{0},
                               [&](int64_t so_far, const SequenceStep& s) { return so_far + s.*member; });
      };
      CHECK(sum(&SequenceStep::q_len) == step->total.q_len);
      CHECK(sum(&SequenceStep::score_cells) == step->total.score_cells);
      CHECK(sum(&SequenceStep::cache_bytes_read) == step->total.cache_bytes_read);
      CHECK(sum(&SequenceStep::cache_bytes_written) == step->total.cache_bytes_written);
    }
  }
}

TEST_CASE("theorem: on the judge and the yardstick, in a batch = alone, to the last bit") {
  for (const auto make : {&naive, &exact})
    for (const std::string& name : kKinds) {
      CAPTURE(name);
      const auto model = load_model(name);
      for (const float temperature : {0.0f, 0.9f}) {
        const SamplingOptions sampling{.temperature = temperature, .top_k = 20, .seed = 5};
        const std::vector<Text> texts =
            generated_together(model, make(), kRequests, {.sampling = sampling, .max_seqs = 3});
        for (size_t i = 0; i < kRequests.size(); ++i)
          CHECK(texts[i] == generated_alone(model, make(), kRequests[i], sampling));
      }
    }
}

TEST_CASE("theorem: elsewhere, in a batch = alone within rounding, and the tokens are the judge's") {
  for (const std::string& name : kKinds) {
    CAPTURE(name);
    const auto model = load_model(name);
    const std::vector<Text> texts = generated_together(model, eigen(), kRequests, {.max_seqs = 3});
    for (size_t i = 0; i < kRequests.size(); ++i) expect_judged(*model, kRequests[i], texts[i]);
  }
  const auto model = load_model(kKinds[1]);
  const std::vector<Request> few(kRequests.begin(), kRequests.begin() + 3);
  const std::vector<Text> texts =
      generated_together(model, make_backend("cuda-emulated", 2), few, {.max_seqs = 2});
  for (size_t i = 0; i < few.size(); ++i) expect_judged(*model, few[i], texts[i]);
}

TEST_CASE("theorem: neither the size of the batch nor the order in it changes a text") {
  const auto model = load_model(kKinds[1]);
  const std::vector<Text> texts = generated_together(model, naive(), kRequests, {.max_seqs = 3});
  const std::vector<size_t> orders[] = {{5, 4, 3, 2, 1, 0}, {2, 0, 5, 1, 3, 4}, {3, 1, 4, 5, 0, 2}};
  for (const auto& order : orders)
    for (const int32_t max_seqs : {1, 2, 6}) {
      std::vector<Request> requests;
      for (const size_t i : order) requests.push_back(kRequests[i]);
      const std::vector<Text> others = generated_together(model, naive(), requests, {.max_seqs = max_seqs});
      for (size_t i = 0; i < order.size(); ++i) CHECK(others[i] == texts[order[i]]);
    }
}

TEST_CASE("a generation samples with its own seed") {
  const auto model = load_model(kKinds[0]);
  const SamplingOptions sampling{.temperature = 1.5f, .seed = 5};
  BatchSession batch(model, naive(), {.sampling = sampling, .max_seqs = 3});
  const Request request{{3, 14, 15}, 12};
  batch.add(request.prompt, request.n_tokens);
  batch.add(request.prompt, request.n_tokens, 5);
  batch.add(request.prompt, request.n_tokens, 6);
  const std::vector<Text> texts = run_to_end(batch);
  CHECK(texts[0] == texts[1]);
  CHECK(texts[0].tokens != texts[2].tokens);
  CHECK(texts[2] == generated_alone(model, naive(), request, {.temperature = 1.5f, .seed = 6}));
}

TEST_CASE("prompts that do not fit in one step join one after the other") {
  const auto model = load_model(kKinds[0]);
  BatchSession batch(model, eigen(), {.max_seqs = 3, .max_step_tokens = 8});
  for (int i = 0; i < 3; ++i) batch.add({1, 2, 3, 4, 5}, 5);
  const auto joined = [&](int32_t id) { return batch.generation(id).joined_step; };
  (void)run_to_end(batch);
  CHECK(joined(0) == 0);
  CHECK(joined(1) == 1);  // 1 + 5 tokens
  CHECK(joined(2) == 2);  // 2 + 5 tokens
  CHECK_THROWS_WITH_AS(batch.add(std::vector<int32_t>(9, 1), 1), doctest::Contains("at most 8"),
                       CapacityError);
}

TEST_CASE("a request that can never run is refused with its sizes, and leaves no trace") {
  const auto model = load_model(kKinds[0]);  // a context of 40
  BatchSession batch(model, eigen(), {.max_seqs = 2});
  CHECK_THROWS_AS(batch.add({}, 1), UsageError);
  CHECK_THROWS_AS(batch.add({1}, 0), UsageError);
  CHECK_THROWS_WITH_AS(batch.add({50}, 1), doctest::Contains("token 50"), UsageError);
  CHECK_THROWS_WITH_AS(batch.add({1, 2}, 40), doctest::Contains("need 41 rows"), CapacityError);
  CHECK(batch.n_generations() == 0);
  CHECK(batch.advance() == nullptr);
  CHECK(batch.add({1, 2}, 39) == 0);  // the last token is not fed
  CHECK(run_to_end(batch)[0].tokens.size() == 39);
  CHECK_THROWS_WITH_AS(BatchSession(model, eigen(), {.max_seqs = 0}), doctest::Contains("max_seqs 0"),
                       UsageError);
  CHECK_THROWS_AS(BatchSession(model, eigen(), {.max_seq_len = 41}), CapacityError);
}

TEST_CASE("generations may be added while others run") {
  const auto model = load_model(kKinds[2]);
  BatchSession batch(model, naive(), {.max_seqs = 4});
  std::vector<Text> texts;
  for (const Request& request : kRequests) {
    batch.add(request.prompt, request.n_tokens);
    if (batch.advance() != nullptr) add_step(batch, texts);
  }
  while (batch.advance() != nullptr) add_step(batch, texts);
  for (size_t i = 0; i < kRequests.size(); ++i)
    CHECK(texts[i] == generated_alone(model, naive(), kRequests[i]));
}
