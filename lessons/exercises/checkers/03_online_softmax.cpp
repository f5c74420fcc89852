// Judged by SoftmaxState<double>, which merges in the same way.
#include <algorithm>

#include "attention/softmax_state.h"
#include "core/random.h"
#include "lessons/exercises/checkers/checker.h"

using namespace lastrow;
using namespace lastrow::exercises;

namespace {

struct Keys {
  std::vector<float> scores;               // [n]
  std::vector<std::vector<float>> values;  // [n, head_dim]
  size_t head_dim() const { return values.empty() ? 1 : values[0].size(); }
};

/// The output row and the lse, in double precision.
struct Expected {
  std::vector<double> out;
  double lse, bound;
};

Expected expected_result(const Keys& keys) {
  SoftmaxState<double> state;
  std::vector<double> acc(keys.head_dim());
  double largest = 0;
  for (size_t s = 0; s < keys.scores.size(); ++s) {
    const auto f = state.merge({keys.scores[s], 1});
    for (size_t d = 0; d < acc.size(); ++d) {
      acc[d] = acc[d] * f.self + double{keys.values[s][d]} * f.other;
      largest = std::max(largest, std::abs(double{keys.values[s][d]}));
    }
  }
  for (double& x : acc) x /= state.row_sum > 0 ? state.row_sum : 1;
  // A merge rounds a factor, a product and a sum, in acc and in row_sum, each by half an epsilon.
  constexpr double kRoundings = 2 * 3;
  const auto n = static_cast<double>(keys.scores.size());
  return {acc, state.lse(), kRoundings * n * std::numeric_limits<float>::epsilon() * std::max(largest, 1.0)};
}

Partial nothing(const Keys& keys) { return {.acc = std::vector<float>(keys.head_dim())}; }

Partial taken(const Keys& keys, size_t begin, size_t end) {
  Partial partial = nothing(keys);
  for (size_t s = begin; s < end; ++s) take(partial, keys.scores[s], keys.values[s]);
  return partial;
}

std::string hint_for(double x, double row_sum) {
  if (std::isnan(x))
    return "(−∞) − (−∞) and ∞ / ∞ give NaN. Which side has seen no key? Which argument does exp get then?";
  if (std::isinf(row_sum))
    return "exp of a large score is infinite. Only exp(score − maximum) is safe: it is at most 1.";
  return "If a sum belongs to the maximum m and you need it for a larger maximum M, multiply it by exp(m − "
         "M): row_sum, and acc too.";
}

void compare(const Partial& actual, const Keys& keys, const std::string& where) {
  const Expected expected = expected_result(keys);
  if (keys.scores.empty()) {
    if (actual.row_sum != 0)
      throw Wrong{fmt::format("{}row_sum is {}, expected 0", where, shown(actual.row_sum)),
                  hint_for(actual.row_sum, actual.row_sum)};
    return;
  }
  const double lse = actual.row_max + std::log(double{actual.row_sum});
  const double lse_bound = expected.bound + std::numeric_limits<float>::epsilon() * std::abs(expected.lse);
  if (!(std::abs(lse - expected.lse) <= lse_bound))
    throw Wrong{
        fmt::format("{}row_max is {} and row_sum is {}, so the log of the sum is {}, expected {}", where,
                    shown(actual.row_max), shown(actual.row_sum), shown(lse), shown(expected.lse)),
        hint_for(lse, actual.row_sum)};
  for (size_t d = 0; d < expected.out.size(); ++d) {
    const double out = double{actual.acc[d]} / actual.row_sum;
    if (!(std::abs(out - expected.out[d]) <= expected.bound))
      throw Wrong{
          fmt::format("{}acc[{}] / row_sum is {} / {} = {}, expected {}", where, d, shown(actual.acc[d]),
                      shown(actual.row_sum), shown(out), shown(expected.out[d])),
          hint_for(out, actual.row_sum)};
  }
}

/// The first `cut` keys on the left side, the others on the right side.
void compare_cut(const Keys& keys, size_t cut) {
  Partial left = taken(keys, 0, cut);
  const Partial right = taken(keys, cut, keys.scores.size());
  merge(left, right);
  compare(left, keys, fmt::format("{} keys, cut after {}: ", keys.scores.size(), cut));
}

Keys random_keys(size_t n, size_t head_dim, double spread, uint64_t seed) {
  Random random(seed);
  Keys keys;
  for (size_t s = 0; s < n; ++s) {
    keys.scores.push_back(static_cast<float>(spread * random.normal()));
    keys.values.emplace_back();
    for (size_t d = 0; d < head_dim; ++d) keys.values[s].push_back(static_cast<float>(random.normal()));
  }
  return keys;
}

void check_03(Checker& c) {
  const float ln2 = std::log(2.0f);
  c.tries("scores 0 and ln 2, values 8 and 2: (1 · 8 + 2 · 2) / 3 = 4");
  compare(taken({{0}, {{8}}}, 0, 1), {{0}, {{8}}}, "after one key: ");
  const Keys two = {{0, ln2}, {{8}, {2}}}, reversed = {{ln2, 0}, {{2}, {8}}};
  compare(taken(two, 0, 2), two, "");
  c.tries("the same keys in the other order");
  compare(taken(reversed, 0, 2), reversed, "");
  c.tries("two halves of 4 keys");
  const Keys four = {{0, ln2, 3 * ln2, 2 * ln2}, {{8, 0}, {2, 1}, {1, 0}, {4, 4}}};
  compare_cut(four, 2);
  c.tries("no keys on the right, on the left, on both sides");
  compare_cut(four, 4);
  compare_cut(four, 0);
  compare_cut({}, 0);
  c.tries("scores of 10000, and of −10000");
  compare_cut({{10000, 9999, -10000}, {{1}, {2}, {3}}}, 1);
  compare_cut({{-10000, -9999, -10001}, {{1}, {2}, {3}}}, 2);
  c.tries("2, 31, 33 and 1000 keys of 16, cut anywhere");
  for (const size_t n : {2, 31, 33, 1000})
    for (const double spread : {1.0, 30.0}) {
      const Keys keys = random_keys(n, 16, spread, n);
      for (size_t cut = 0; cut <= n; cut += n < 100 ? 1 : 97) compare_cut(keys, cut);
    }
}

}  // namespace

int main(int argc, char** argv) {
  return run_checker(
      argc, argv,
      {3, "online softmax", "lessons/exercises/03_online_softmax.cpp",
       "Now look at src/attention/softmax_state.h, and at gpu/parts/merge_splits.cu, which uses it: "
       "each block of the GPU takes a part of the keys, and then the parts are merged."},
      check_03);
}
