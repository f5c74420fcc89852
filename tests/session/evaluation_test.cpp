// Perplexity, KL divergence and flips: by hand, then what must be equal to the last bit.
#include "session/evaluation.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "judge/tolerance.h"
#include "session/texts.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

const Texts kTexts = {kText, {1, 2}, {4, 8, 15, 16, 23, 42}};

Reference reference_on(Factory make, const std::string& model, const Texts& texts = kTexts) {
  DecodeSession session(load_model(model), make(), {});
  return run_reference(session, texts);
}

Quality quality_on(Factory make, const std::string& model, const CacheOptions& cache,
                   const Reference& reference, const Texts& texts = kTexts) {
  DecodeSession session(load_model(model), make(), {.cache = cache});
  return evaluate(session, texts, reference);
}

}  // namespace

TEST_CASE("one prediction, by hand: P = (1/4, 3/4), Q = (1/2, 1/2)") {
  const float p[] = {0, std::log(3.0f)}, q[] = {5, 5};
  CHECK(nats_of(p, 0) == doctest::Approx(std::log(4.0)));
  CHECK(nats_of(p, 1) == doctest::Approx(std::log(4.0 / 3)));
  CHECK(nats_of(q, 1) == doctest::Approx(std::log(2.0)));
  CHECK(kl_divergence(p, q) == doctest::Approx(0.25 * std::log(0.5) + 0.75 * std::log(1.5)));
  CHECK(kl_divergence(q, p) == doctest::Approx(0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3)));
}

TEST_CASE("KL is exactly 0 for equal logits, and finite and positive where a probability is next to 0") {
  const float p[] = {-3, 1e4f, 7, -1e4f}, q[] = {-3, -1e4f, 7, 1e4f};
  CHECK(kl_divergence(p, p) == 0);
  CHECK(kl_divergence(p, q) == doctest::Approx(2e4));
  // Differences of 1e-6 in the logits: KL is about half the variance of the differences, here 2.5e-13.
  const float a[] = {0, 0}, b[] = {0, 0x1p-20f};
  const double expected = 0x1p-40 / 8;
  CHECK(kl_divergence(a, b) == doctest::Approx(expected).epsilon(1e-6));
  CHECK(kl_divergence(b, a) == doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("a text of three tokens has two predictions: token 1 after token 0, token 2 after token 1") {
  const std::string spec = "random:layers=2,q_heads=2,kv_heads=1,head_dim=4,vocab=10,context=8";
  DecodeSession by_hand(load_model(spec), naive(), {});
  by_hand.start({3});
  by_hand.advance();
  double nats = nats_of(by_hand.logits(), 1);
  by_hand.advance(1);
  nats += nats_of(by_hand.logits(), 4);

  const Reference reference = reference_on(naive, spec, {{3, 1, 4}});
  CHECK(n_predictions({{3, 1, 4}}) == 2);
  CHECK(reference.prediction.n_tokens() == 2);
  CHECK(reference.prediction.nats_per_token() == nats / 2);
  CHECK(reference.prediction.perplexity() == std::exp(nats / 2));
  CHECK(reference.logits.size() == 2 * 10);
  CHECK(reference_bytes({{3, 1, 4}}, 10) == 2 * 10 * 4);
}

TEST_CASE("each step feeds one token, and each text starts with an empty cache") {
  std::vector<int64_t> rows;
  const auto model = load_model(kModels[0]);
  DecodeSession session(model, naive(), {});
  const Reference all = run_reference(session, kTexts, [&](int64_t n) {
    CHECK(n == std::ssize(rows) + 1);
    rows.push_back(session.record().kv_len);
    CHECK(session.record().q_len == 1);
  });
  REQUIRE(std::ssize(rows) == n_predictions(kTexts));
  size_t step = 0;
  for (const std::vector<int32_t>& text : kTexts)
    for (size_t t = 0; t + 1 < text.size(); ++t) CHECK(rows[step++] == static_cast<int64_t>(t) + 1);
  for (size_t i = 0; i < kTexts.size(); ++i) {
    const Reference one = reference_on(naive, kModels[0], {kTexts[i]});
    CHECK(one.prediction.text_nats[0] == all.prediction.text_nats[i]);
  }
}

TEST_CASE("f32 against itself: KL is 0, nothing flips, and the perplexity is the same number") {
  for (const Factory make : {naive, eigen})
    for (const std::string& model : kModels) {
      const Reference reference = reference_on(make, model);
      const Quality quality = quality_on(make, model, {}, reference);
      CHECK(quality.kl_mean == 0);
      CHECK(quality.kl_max == 0);
      CHECK(quality.n_flips == 0);
      CHECK(quality.prediction.text_nats == reference.prediction.text_nats);
      CHECK(quality.most_rows == std::ssize(kText) - 1);
      const Change change = perplexity_change(reference, quality);
      CHECK(change.relative == 0);
      CHECK(change.error == 0.0);
    }
}

TEST_CASE("blocks of any length predict as one block does, to the last bit") {
  for (const Factory make : {naive, eigen}) {
    const Reference reference = reference_on(make, kModels[0]);
    for (const int32_t block_len : {1, 4, 16}) {
      const Quality quality = quality_on(make, kModels[0], paged(block_len), reference);
      CHECK(quality.kl_max == 0);
      CHECK(quality.n_flips == 0);
      CHECK(quality.prediction.text_nats == reference.prediction.text_nats);
    }
  }
}

TEST_CASE("in double precision the perplexity is the same within the rounding of f32") {
  for (const std::string& model : kModels) {
    const Reference exact_run = reference_on(exact, model);
    for (const Factory make : {naive, eigen}) {
      const Quality quality = quality_on(make, model, {}, exact_run);
      CHECK(quality.prediction.perplexity() ==
            doctest::Approx(exact_run.prediction.perplexity()).epsilon(1e-5));
      CHECK(quality.kl_max < 1e-8);
      CHECK(quality.n_flips == 0);
    }
  }
}

TEST_CASE("fewer bits diverge more: f16, int8, int4") {
  for (const std::string& model : kModels) {
    const Reference reference = reference_on(eigen, model);
    double last = 0;
    for (const char* dtype : {"f16", "int8", "int4"}) {
      CAPTURE(dtype);
      const Quality quality = quality_on(eigen, model, with_dtypes({}, dtype), reference);
      CHECK(quality.kl_mean > last);
      CHECK(quality.kl_max >= quality.kl_mean);
      last = quality.kl_mean;
    }
  }
}

TEST_CASE("the largest divergence and the flips are found where they are") {
  // A reference that is certain of token 7 at one place, where the session has other logits.
  Reference reference = reference_on(naive, kModels[0]);
  const size_t vocab_size = 50,
               at = (kText.size() - 1 + 1 + 3) * vocab_size;  // text 2, the fourth prediction
  for (size_t i = 0; i < vocab_size; ++i) reference.logits[at + i] = i == 7 ? 100.0f : 0.0f;
  const Quality quality = quality_on(naive, kModels[0], {}, reference);
  CHECK(quality.kl_max_text == 2);
  CHECK(quality.kl_max_token == 4);
  CHECK(quality.n_flips == 1);
  CHECK(quality.kl_mean == quality.kl_max / static_cast<double>(n_predictions(kTexts)));
  DecodeSession by_hand(load_model(kModels[0]), naive(), {});
  by_hand.start({4});
  by_hand.advance();
  for (const int32_t token : {8, 15, 16}) by_hand.advance(token);
  CHECK(quality.kl_max ==
        kl_divergence(std::span(reference.logits).subspan(at, vocab_size), by_hand.logits()));
}

TEST_CASE("the change of the perplexity and its error, by hand: two texts of 2 and 4 predictions") {
  const Reference reference{.prediction = {.text_nats = {2, 8}, .text_len = {2, 4}}, .logits = {}};
  const Quality quality{.prediction = {.text_nats = {2.2, 8.7}, .text_len = {2, 4}}};
  // 0.9 nats more over 6 tokens: 0.15 each. The texts have 0.2 − 0.3 and 0.7 − 0.6 more than their share.
  const Change change = perplexity_change(reference, quality);
  CHECK(change.relative == doctest::Approx(std::exp(0.15) - 1));
  REQUIRE(change.error);
  CHECK(*change.error == doctest::Approx(std::sqrt(2.0 / 1 * (0.01 + 0.01)) / 6 * std::exp(0.15)));
  const Reference one{.prediction = {.text_nats = {2}, .text_len = {2}}, .logits = {}};
  CHECK_FALSE(perplexity_change(one, {.prediction = {.text_nats = {3}, .text_len = {2}}}).error);
}

TEST_CASE("texts that predict nothing, and tokens that the model does not have") {
  DecodeSession session(load_model(kModels[0]), naive(), {});
  CHECK_THROWS_WITH_AS(run_reference(session, {}), doctest::Contains("there is no text"), UsageError);
  CHECK_THROWS_WITH_AS(run_reference(session, {{1, 2}, {3}}), doctest::Contains("text 2 of 2 has 1 tokens"),
                       UsageError);
  CHECK_THROWS_WITH_AS(run_reference(session, {{1, 2}, {}}), doctest::Contains("text 2 of 2 has 0 tokens"),
                       UsageError);
  CHECK_THROWS_AS(run_reference(session, {{99, 1}}), UsageError);
  CHECK_THROWS_AS(run_reference(session, {std::vector<int32_t>(42, 1)}), CapacityError);
}
