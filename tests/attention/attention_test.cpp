#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "attention/mask.h"
#include "attention/score.h"
#include "attention/softmax_state.h"
#include "core/random.h"

using namespace lastrow;

TEST_CASE("the causal mask is aligned bottom-right") {
  // 2 queries, 5 keys: the last query sees all five, the one before it four.
  CHECK(visible_keys({}, 2, 5, 1).end == 5);
  CHECK(visible_keys({}, 2, 5, 0).end == 4);
  // 3 queries, 1 key: the first two queries see no key.
  CHECK(visible_keys({}, 3, 1, 0).end == 0);
  CHECK(visible_keys({}, 3, 1, 1).end == 0);
  CHECK(visible_keys({}, 3, 1, 2).end == 1);
  // Not causal: every query sees every key.
  CHECK(visible_keys({.causal = false}, 3, 4, 0).end == 4);
  // A window of 2.
  CHECK(visible_keys({.causal = true, .window = 2}, 1, 5, 0).begin == 3);
  CHECK(visible_keys({.causal = true, .window = 9}, 1, 5, 0).begin == 0);
}

TEST_CASE("sinks stay visible beside a window") {
  // 1 query, 9 keys, window 3, 2 sinks:   x x . . . . x x x
  const VisibleKeys keys = visible_keys({.window = 3, .sinks = 2}, 1, 9, 0);
  CHECK(keys.sinks == 2);
  CHECK(keys.begin == 6);
  CHECK(keys.end == 9);
  CHECK(keys.count() == 5);
  std::vector<int32_t> listed;
  for (int32_t i = 0; i < keys.count(); ++i) listed.push_back(keys.index(i));
  CHECK(listed == std::vector<int32_t>{0, 1, 6, 7, 8});
  CHECK(keys.sees(1));
  CHECK_FALSE(keys.sees(2));
  CHECK(keys.sees(6));
  CHECK_FALSE(keys.sees(9));
  // When the window reaches the sinks, there is one range.
  const VisibleKeys joined = visible_keys({.window = 7, .sinks = 2}, 1, 9, 0);
  CHECK(joined.sinks == 0);
  CHECK(joined.begin == 0);
  CHECK(joined.end == 9);
  // Without a window, sinks change nothing. A query that sees no key sees no sink either.
  CHECK(visible_keys({.sinks = 4}, 1, 9, 0).count() == 9);
  CHECK(visible_keys({.window = 3, .sinks = 2}, 3, 1, 0).count() == 0);
}

TEST_CASE("the visible keys are the sinks and the window, key by key") {
  for (const int32_t window : {0, 1, 3, 8, 40})
    for (const int32_t sinks : {0, 1, 4, 20})
      for (const bool causal : {true, false})
        for (int32_t t = 0; t < 12; ++t) {
          constexpr int32_t kQueries = 12, kKeys = 17;
          const int32_t end = causal ? kKeys - kQueries + t + 1 : kKeys;
          const VisibleKeys keys = visible_keys({causal, window, sinks}, kQueries, kKeys, t);
          std::vector<int32_t> expected, listed;
          for (int32_t s = 0; s < end; ++s)
            if (window == 0 || s >= end - window || s < sinks) expected.push_back(s);
          for (int32_t i = 0; i < keys.count(); ++i) listed.push_back(keys.index(i));
          REQUIRE(listed == expected);
          for (int32_t s = 0; s < kKeys; ++s)
            REQUIRE(keys.sees(s) == (std::count(expected.begin(), expected.end(), s) == 1));
        }
}

TEST_CASE("ALiBi slopes are those of the paper") {
  // 8 heads: 1/2, 1/4, … 1/256.
  for (int h = 0; h < 8; ++h) CHECK(alibi_slope(h, 8) == std::ldexp(1.0f, -(h + 1)));
  CHECK(alibi_slope(0, 1) == std::ldexp(1.0f, -8));
  // 3 heads: those of 2 heads, then the first of 4.
  CHECK(alibi_slope(0, 3) == std::ldexp(1.0f, -4));
  CHECK(alibi_slope(1, 3) == std::ldexp(1.0f, -8));
  CHECK(alibi_slope(2, 3) == std::ldexp(1.0f, -2));
  // 12 heads: those of 8, then the 1st, 3rd, 5th and 7th of 16.
  for (int h = 8; h < 12; ++h) CHECK(alibi_slope(h, 12) == alibi_slope(2 * (h - 8), 16));
  for (const int n : {1, 2, 4, 16, 32, 64, 128, 1024})
    for (int h = 0; h < n; ++h)
      REQUIRE(alibi_slope(h, n) == doctest::Approx(std::exp2(-8.0 * (h + 1) / n)).epsilon(6e-8));
}

TEST_CASE("a soft cap bounds the score, and distance lowers it") {
  const ScoreRule capped{.scale = 0.5f, .soft_cap = 30};
  CHECK(capped.finish(0.0, 0.0, 7) == 0);
  CHECK(capped.finish(1e6, 0.0, 7) == 30);
  CHECK(capped.finish(-1e6, 0.0, 7) == -30);
  CHECK(capped.finish(15.0, 0.0, 7) == doctest::Approx(30 * std::tanh(0.5)).epsilon(1e-15));
  const ScoreRule sloped{.alibi_heads = 8};
  CHECK(sloped.finish(3.0f, sloped.slope(1), 4) == 2.0f);  // 3 − 4/4
  CHECK(ScoreRule{}.only_scales());
  CHECK_FALSE(capped.only_scales());
  CHECK_FALSE(sloped.only_scales());
}

TEST_CASE("a score in units of ln 2 is the score times log2 e") {
  const ScoreRule rule{.scale = 0.3f, .soft_cap = 5, .alibi_heads = 6};
  const double log2_e = 1 / std::log(2.0), product = 11.5;
  const double score = rule.finish(double{rule.query_factor()} * product, double{rule.slope(4)}, 9);
  const double base2 =
      rule.finish(double{rule.query_factor()} * log2_e * product, rule.slope(4) * log2_e, 9, log2_e);
  CHECK(base2 == doctest::Approx(score * log2_e).epsilon(1e-14));
}

TEST_CASE("softmax pieces merge into the whole, in any order") {
  Random random(5);
  std::vector<double> x(40);
  for (double& v : x) v = 10 * random.normal();
  double direct = 0;
  for (const double v : x) direct += std::exp(v);

  SoftmaxState<double> forward, backward;
  for (size_t i = 0; i < x.size(); ++i) {
    forward.merge({x[i], 1});
    backward.merge({x[x.size() - 1 - i], 1});
  }
  CHECK(forward.lse() == doctest::Approx(std::log(direct)).epsilon(1e-13));
  CHECK(backward.lse() == doctest::Approx(forward.lse()).epsilon(1e-13));
}

TEST_CASE("a state that saw NaN is not the empty state") {
  SoftmaxState<float> state{1.0f, 2.0f};
  state.merge({1.0f, std::numeric_limits<float>::quiet_NaN()});
  CHECK(std::isnan(state.lse()));
}

TEST_CASE("merging the empty state changes nothing and gives no NaN") {
  SoftmaxState<float> empty, one{2.0f, 1.0f};
  CHECK(empty.lse() == -std::numeric_limits<float>::infinity());
  const auto f = empty.merge({});
  CHECK(f.self == 0);
  CHECK(f.other == 0);
  one.merge(empty);
  CHECK(one.row_max == 2.0f);
  CHECK(one.row_sum == 1.0f);
  empty.merge(one);
  CHECK(empty.lse() == 2.0f);
}

TEST_CASE("theorem: under the windows of a model and of a cache, a query sees what both allow") {
  int32_t n_narrowed = 0;
  for (const int32_t own : {0, 1, 3, 5, 20})
    for (const int32_t window : {0, 1, 3, 5, 20})
      for (const int32_t sinks : {0, 1, 4}) {
        if (window == 0 && sinks > 0) continue;
        const MaskRule model{.window = own}, cache{.window = window, .sinks = sinks};
        CHECK(can_narrow(model, window, sinks) == (sinks == 0 || own <= window));
        if (!can_narrow(model, window, sinks)) continue;
        ++n_narrowed;
        const MaskRule both = narrowed(model, window, sinks);
        for (int32_t t = 0; t < 12; ++t)
          for (int32_t s = 0; s < 12; ++s)
            CHECK(visible_keys(both, 12, 12, t).sees(s) ==
                  (visible_keys(model, 12, 12, t).sees(s) && visible_keys(cache, 12, 12, t).sees(s)));
      }
  CHECK(n_narrowed > 40);
}
