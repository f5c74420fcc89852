#include "viewer/view_model/describe/worked_example.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/operands.h"
#include "viewer/view_model/describe/score_text.h"
#include "viewer/view_model/describe/target_text.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

constexpr size_t kKeys = 4;

/// Of the keys that the row sees, those with the largest weights.
std::vector<int> keys_by_weight(const float* weights, std::vector<int> order) {
  const size_t first = std::min(kKeys, order.size());
  // A NaN counts as −∞, so that the order is defined.
  const auto key = [&](int s) { return std::isnan(weights[s]) ? -INFINITY : weights[s]; };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(first), order.end(),
                    [&](int a, int b) { return key(a) != key(b) ? key(a) > key(b) : a < b; });
  order.resize(first);
  return order;
}

std::vector<ExampleKey> example_keys(const Snapshot& snapshot, const Operands& o,
                                     const std::vector<int>& seen, const std::vector<int>& keys) {
  std::vector<ExampleKey> out;
  double rest = 0;
  for (const int s : seen) rest += double{o.probs[s]};
  for (const int s : keys) {
    out.push_back({fmt::format("{} {}", s, token_label(snapshot, s)), number(double{o.scores[s]}),
                   rough(double{o.probs[s]}), o.probs[s]});
    rest -= double{o.probs[s]};
  }
  const int others = static_cast<int>(seen.size() - keys.size());
  rest = std::max(0.0, rest);
  if (others > 0)
    out.push_back({others == 1 ? "1 other" : fmt::format("{} others", others), "", rough(rest),
                   static_cast<float>(rest)});
  return out;
}

std::string in_product(double x) { return x < 0 ? fmt::format("({})", rough(x)) : rough(x); }

/// The first element of the output: the two largest weights, and the result that the backend gave.
std::string output_line(const Snapshot& snapshot, const Selection& at, const Operands& o, size_t n_seen,
                        const std::vector<int>& keys) {
  std::string sum;
  const size_t shown = std::min<size_t>(2, keys.size());
  for (size_t i = 0; i < shown; ++i) {
    const float* v = operands(snapshot, at, Mode::cached, -1, keys[i]).v;
    if (!v) return "";
    sum +=
        fmt::format("{}{}·{}", i > 0 ? " + " : "", rough(double{o.probs[keys[i]]}), in_product(double{v[0]}));
  }
  if (n_seen > shown) sum += " + …";
  return fmt::format("out[0] = {} = {}", sum, rough(double{o.out[0]}));
}

}  // namespace

WorkedExample build_worked_example(const Snapshot& snapshot, const Selection& at) {
  const int last = snapshot.now->n_tokens - 1, width = snapshot.setup->config().head_dim;
  WorkedExample e;
  e.title = fmt::format("How row {} decides", last);
  e.reading_title = "How to read the panes";
  e.reading = {"A row is a token in every column.", "Its colours are its values.",
               "Its mark says where it comes from.", "Point at a cell, or click to keep it."};
  e.costs_title = "The cost of all steps so far";
  const Operands row = operands(snapshot, at, Mode::cached, last, -1);
  if (!row.q || !row.scores || !row.probs || !row.out) return e;
  const std::vector<int> seen = keys_seen(snapshot.now->side(Mode::cached), at.layer, last);
  const std::vector<int> keys = keys_by_weight(row.probs, seen);
  const int s = keys.front();
  const float* k = operands(snapshot, at, Mode::cached, last, s).k;
  if (reached(at.beat, Beat::score) && k) {
    double dot = 0;
    for (int d = 0; d < width; ++d) dot += double{row.q[d]} * double{k[d]};
    e.score_title = "Score: the query meets each key";
    e.score_line = score_line(snapshot.setup->config(), at.head, last, s,
                              used_distance(snapshot.now->side(Mode::cached), at.layer, last, s), dot,
                              double{row.scores[s]});
  }
  if (reached(at.beat, Beat::softmax)) {
    e.weight_title = "Softmax: scores become weights";
    e.keys = example_keys(snapshot, row, seen, keys);
  }
  if (reached(at.beat, Beat::sum)) {
    e.output_title = "Output: weights times values";
    e.output_line = output_line(snapshot, at, row, seen.size(), keys);
  }
  return e;
}

}  // namespace lastrow::view
