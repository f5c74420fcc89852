#include <doctest/doctest.h>

#include <vector>

#include "attention/mask.h"
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
