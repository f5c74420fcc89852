// Texts that are generated alone or in a batch, for tests that compare them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "judge/judged_logits.h"
#include "session/batch_session.h"
#include "tests/session/texts.h"

namespace lastrow::test {

/// A prompt, and how many tokens follow it.
struct Request {
  std::vector<int32_t> prompt;
  int32_t n_tokens;
};

/// The tokens that were chosen, and the logits that each was chosen from.
struct Text {
  std::vector<int32_t> tokens;
  std::vector<std::vector<float>> logits;
  bool operator==(const Text&) const = default;
};

/// Runs the batch to its end. In each step the counts of the texts add up to those of the step. Stepping back in
/// between gives the same tokens.
inline void run_to_the_end(BatchSession& batch) {
  while (const BatchStep* step = batch.advance()) {
    int64_t n_cells = 0, n_read = 0;
    for (const SequenceStep& s : step->sequences) {
      n_cells += s.score_cells;
      n_read += s.cache_bytes_read;
    }
    CHECK(n_cells == step->total.score_cells);
    CHECK(n_read == step->total.cache_bytes_read);
  }
  const int32_t last = batch.n_generations() - 1;
  const std::vector<int32_t> tokens = batch.generation(last).tokens;
  batch.go_to(3);
  batch.go_to(batch.last_step());
  CHECK(batch.generation(last).tokens == tokens);
}

inline Text generated_alone(const std::shared_ptr<const Model>& model, std::unique_ptr<Backend> backend,
                            const Request& request, SamplingOptions sampling = {}, CacheOptions cache = {}) {
  DecodeSession session(model, std::move(backend), {.sampling = sampling, .cache = std::move(cache)});
  session.start(request.prompt);
  for (int32_t i = 1; i < session.n_prefill_steps(); ++i) session.advance();
  Text text;
  for (int32_t i = 0; i < request.n_tokens; ++i) {
    session.advance();
    text.tokens.push_back(session.next_token());
    text.logits.emplace_back(session.logits().begin(), session.logits().end());
  }
  return text;
}

/// Adds the logits of the current step to the text of each generation that ran.
inline void add_step(const BatchSession& batch, std::vector<Text>& texts) {
  texts.resize(static_cast<size_t>(batch.n_generations()));
  for (const SequenceStep& s : batch.step().sequences) {
    Text& text = texts[static_cast<size_t>(s.generation)];
    text.tokens = batch.generation(s.generation).tokens;
    text.logits.push_back(batch.generation(s.generation).logits);
  }
}

/// Runs the batch to its end. Returns the text of each generation, from the next step on.
inline std::vector<Text> run_to_end(BatchSession& batch) {
  std::vector<Text> texts(static_cast<size_t>(batch.n_generations()));
  while (batch.advance() != nullptr) add_step(batch, texts);
  return texts;
}

inline std::vector<Text> generated_together(const std::shared_ptr<const Model>& model,
                                            std::unique_ptr<Backend> backend,
                                            const std::vector<Request>& requests, BatchOptions options) {
  BatchSession batch(model, std::move(backend), std::move(options));
  for (const Request& request : requests) batch.add(request.prompt, request.n_tokens);
  return run_to_end(batch);
}

/// Expects the logits of each step within the bound of judged_logits, for the tokens that were really fed.
/// The token of a step is the judge's, or the judge's two best logits are closer than errors within the
/// bound can move them.
inline void expect_judged(const Model& model, const Request& request, const Text& text) {
  std::vector<int32_t> fed = request.prompt;
  fed.insert(fed.end(), text.tokens.begin(), text.tokens.end() - 1);
  const judge::JudgedLogits judged = judge::judged_logits(model, fed);
  const auto vocab_size = static_cast<size_t>(model.config().vocab_size);
  REQUIRE(text.logits.size() == text.tokens.size());
  for (size_t i = 0; i < text.logits.size(); ++i) {
    const double* row = judged.logits.data() + (request.prompt.size() - 1 + i) * vocab_size;
    const std::vector<double> expected(row, row + vocab_size),
        actual(text.logits[i].begin(), text.logits[i].end());
    const judge::Difference worst = judge::difference(actual, expected);
    const std::string message = fmt::format("token {}: {}, bound {:.3g}", i, worst.to_string(), judged.bound);
    CHECK_MESSAGE(worst.largest <= judged.bound, message);
    const double best = *std::ranges::max_element(expected);
    CHECK(best - expected[static_cast<size_t>(text.tokens[i])] <= 2 * judged.bound);
  }
}

}  // namespace lastrow::test
