#include "model/sampler.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "core/error.h"

using namespace lastrow;

TEST_CASE("greedy takes the largest logit, and the first of equal ones") {
  Sampler greedy({}, 4);
  CHECK(greedy.choose(std::vector<float>{1, 3, 3, 2}, 0) == 1);
  CHECK(greedy.choose(std::vector<float>{-1, -3, -3, -2}, 0) == 0);
}

TEST_CASE("the most probable tokens, by eye") {
  const auto top = most_probable(std::vector<float>{0, std::log(2.0f), 0, std::log(4.0f)}, 3);
  REQUIRE(top.size() == 3);
  CHECK(top[0].token == 3);
  CHECK(top[0].probability == doctest::Approx(0.5));
  CHECK(top[1].token == 1);
  CHECK(top[1].probability == doctest::Approx(0.25));
  CHECK(top[2].token == 0);  // ties by smaller id
  CHECK(most_probable(std::vector<float>{1, 2}, 5).size() == 2);
}

TEST_CASE("a choice depends only on logits, options and position") {
  const std::vector<float> logits = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f};
  Sampler a({.temperature = 1, .seed = 7}, 5), b({.temperature = 1, .seed = 7}, 5);
  for (const int32_t position : {3, 9, 3, 0}) CHECK(a.choose(logits, position) == b.choose(logits, position));
  const int32_t again = a.choose(logits, 3);
  a.choose(logits, 100);
  CHECK(a.choose(logits, 3) == again);
}

TEST_CASE("random choices follow softmax(logits / temperature)") {
  const std::vector<float> logits = {0, 1, 2};
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    Sampler sampler({.temperature = temperature, .seed = 3}, 3);
    double expected[3], total = 0, counts[3] = {};
    for (int i = 0; i < 3; ++i) total += expected[i] = std::exp(logits[i] / temperature);
    constexpr int kDraws = 20000;
    for (int position = 0; position < kDraws; ++position) ++counts[sampler.choose(logits, position)];
    for (int i = 0; i < 3; ++i) {
      const double p = expected[i] / total;
      CHECK(std::abs(counts[i] / kDraws - p) < 4 * std::sqrt(p * (1 - p) / kDraws));  // 4 standard errors
    }
  }
}

TEST_CASE("top-k leaves out the rest") {
  Sampler sampler({.temperature = 5, .top_k = 2}, 4);
  std::set<int32_t> seen;
  for (int position = 0; position < 500; ++position)
    seen.insert(sampler.choose(std::vector<float>{1, 4, 2, 3}, position));
  CHECK(seen == std::set<int32_t>{1, 3});
  Sampler more_than_all({.temperature = 1, .top_k = 99}, 4);
  CHECK(more_than_all.choose(std::vector<float>{1, 4, 2, 3}, 0) < 4);
}

TEST_CASE("a NaN logit is never chosen, and makes the probabilities NaN") {
  const std::vector<float> logits = {NAN, 2, NAN, 1};
  CHECK(Sampler({}, 4).choose(logits, 0) == 1);
  Sampler sampler({.temperature = 3, .top_k = 0, .seed = 2}, 4);
  for (int position = 0; position < 200; ++position) CHECK(sampler.choose(logits, position) % 2 == 1);
  CHECK(std::isnan(most_probable(logits, 1)[0].probability));
  CHECK(Sampler({}, 2).choose(std::vector<float>{NAN, NAN}, 0) == 0);
}

TEST_CASE("wrong options are refused") {
  CHECK_THROWS_AS(Sampler({.temperature = -1}, 4), UsageError);
  CHECK_THROWS_AS(Sampler({.temperature = NAN}, 4), UsageError);
  CHECK_THROWS_AS(Sampler({.temperature = 1, .top_k = -1}, 4), UsageError);
}
