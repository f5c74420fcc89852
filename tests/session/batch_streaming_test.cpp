// Batches on a cache that uses new positions: a step feeds one token of each text, also of a prompt.
#include <doctest/doctest.h>

#include "session/batch_session.h"
#include "tests/session/batch_texts.h"
#include "tests/session/texts.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

const CacheOptions kRing{
    .kind = "window", .block_len = 2, .window = 4, .sinks = 1, .positions = Positions::renumbered};

const std::vector<Request> kStreams = {
    {{3, 14, 15, 9, 26}, 3}, {{7}, 9}, {{8, 9, 10, 11, 12, 13, 14, 15, 16}, 2}, {{5, 35}, 100}};

/// The text in a session of its own, with the logits after each token, those of the prompt too.
Text streamed_alone(const std::shared_ptr<const Model>& model, std::unique_ptr<Backend> backend,
                    const Request& request) {
  DecodeSession s(model, std::move(backend), {.max_seq_len = 120, .cache = kRing});
  s.start(request.prompt);
  Text text;
  while (static_cast<int32_t>(text.tokens.size()) < request.n_tokens) {
    s.advance();
    text.logits.push_back(logits_of(s));
    if (s.current_step() + 1 >= s.n_prefill_steps()) text.tokens.push_back(s.next_token());
  }
  return text;
}

BatchOptions together(int32_t max_seqs) { return {.max_seqs = max_seqs, .max_seq_len = 120, .cache = kRing}; }

}  // namespace

TEST_CASE("by eye: prompts of three tokens and one, read one token a step") {
  BatchSession batch(load_model(kModel), naive(), together(2));
  batch.add({3, 14, 15}, 2);
  batch.add({7}, 2);
  batch.add({9, 26}, 1);
  struct Fed {
    int32_t generation, position;
    Phase phase;
    size_t n_chosen;  // after the step
    bool operator==(const Fed&) const = default;
  };
  constexpr Phase kReads = Phase::prefill, kWrites = Phase::decode;
  const std::vector<std::vector<Fed>> expected = {
      {{0, 0, kReads, 0}, {1, 0, kReads, 1}},
      {{0, 1, kReads, 0}, {1, 1, kWrites, 2}},
      {{0, 2, kReads, 1}, {2, 0, kReads, 0}},  // 1 has left, 2 joins
      {{0, 3, kWrites, 2}, {2, 1, kReads, 1}}};
  for (const std::vector<Fed>& of_step : expected) {
    const BatchStep* step = batch.advance();
    REQUIRE(step != nullptr);
    std::vector<Fed> fed;
    for (const SequenceStep& s : step->sequences) {
      CHECK(s.q_len == 1);
      fed.push_back({s.generation, s.position, s.phase, batch.generation(s.generation).tokens.size()});
    }
    CHECK(fed == of_step);
    CHECK(step->total.phase == kReads);
  }
  CHECK(batch.advance() == nullptr);
  CHECK(batch.generation(2).joined_step == 2);
  CHECK(batch.generation(0).first_token_us >= batch.generation(1).first_token_us);
}

TEST_CASE(
    "theorem: each text of a batch has the tokens and the logits that it has alone, behind the context too") {
  const auto model = load_model(kModel);
  for (const int32_t max_seqs : {1, 2, 4}) {
    CAPTURE(max_seqs);
    const std::vector<Text> texts = generated_together(model, naive(), kStreams, together(max_seqs));
    for (size_t i = 0; i < texts.size(); ++i) CHECK(texts[i] == streamed_alone(model, naive(), kStreams[i]));
  }
  for (const Factory make : {&eigen, &emulated}) {
    const std::vector<Text> texts = generated_together(model, make(), kStreams, together(3));
    for (size_t i = 0; i < texts.size(); ++i)
      CHECK(texts[i].tokens == streamed_alone(model, make(), kStreams[i]).tokens);
  }
}

TEST_CASE(
    "the counts of texts that stream add up to those of the step, and stepping back gives the same tokens") {
  BatchSession batch(load_model(kModel), naive(), together(3));
  for (const Request& request : kStreams) batch.add(request.prompt, request.n_tokens);
  run_to_the_end(batch);
}

TEST_CASE("stepping back into a prompt, forced tokens and pokes give the same bits again") {
  BatchSession batch(load_model(kModel), naive(), together(2));
  for (const Request& request : kStreams) batch.add(request.prompt, request.n_tokens);
  batch.advance();
  CHECK_THROWS_WITH_AS(batch.force(0, 5), doctest::Contains("which still reads its prompt at step 0"),
                       UsageError);
  batch.force(1, 5);
  std::vector<std::vector<float>> logits;
  const auto keep = [&](const BatchStep& step) {
    std::vector<float> all;
    for (const SequenceStep& s : step.sequences) {
      const std::vector<float>& of_text = batch.generation(s.generation).logits;
      if (!s.leaves) all.insert(all.end(), of_text.begin(), of_text.end());
    }
    return all;
  };
  logits.push_back(keep(batch.step()));
  logits.push_back(keep(*batch.advance()));
  batch.go_to(0);  // the last step is one that reads a prompt
  CHECK(keep(batch.go_to(1)) == logits[1]);
  CHECK(batch.generation(0).tokens.empty());
  while (batch.last_step() < 60) logits.push_back(keep(*batch.advance()));
  for (const int32_t step : {60, 2, 0, 13, 59, 60}) {
    CAPTURE(step);
    CHECK(keep(batch.go_to(step)) == logits[static_cast<size_t>(step)]);
  }
  const std::vector<int32_t> tokens = batch.generation(3).tokens;
  batch.go_to(3);
  batch.set_pokes({{.what = Poke::What::k,
                    .layer = 0,
                    .position = 2,
                    .seed = 7,
                    .when = Poke::When::now,
                    .step = 3,
                    .sequence = 0}});
  CHECK(batch.poke_report(0).changed == 1);
  CHECK(keep(batch.step()) != logits[3]);
  batch.set_pokes({});
  CHECK(keep(batch.step()) == logits[3]);
  batch.go_to(60);
  CHECK(batch.generation(3).tokens == tokens);
}

TEST_CASE("a call that fails while prompts are read changes nothing") {
  std::atomic<bool> stop = false;
  BatchOptions options = together(2);
  options.stop = &stop;
  BatchSession batch(load_model(kModel), naive(), options);
  for (const Request& request : kStreams) batch.add(request.prompt, request.n_tokens);
  batch.advance();
  batch.advance();
  stop = true;
  CHECK_THROWS_AS(batch.advance(), Cancelled);
  stop = false;
  while (batch.advance() != nullptr) {
  }
  CHECK(batch.generation(0).tokens == streamed_alone(load_model(kModel), naive(), kStreams[0]).tokens);
}
