#include "viewer/view_model/describe/last_row_bars.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/step_rows.h"

namespace lastrow::view {

namespace {

/// The chart of a long text would be flat if it always went up to 1.
/// There are few heights, so that a step rarely changes it.
float weight_top(float largest) {
  for (const float top : {0.01f, 0.02f, 0.05f, 0.1f, 0.2f, 0.5f})
    if (largest <= top) return top;
  return 1;
}

/// How much of the weight lies on keys that the window does not show.
std::string outside(const std::vector<float>& weights, const TokenWindow& window) {
  if (window.whole()) return "";
  double hidden = 0;
  for (int position = 0; position < window.n_tokens; ++position)
    if (!window.shows(position)) hidden += double{weights[static_cast<size_t>(position)]};
  return fmt::format("{:.0f} % of weight not shown", 100 * hidden);
}

}  // namespace

LastRowBars last_row_bars(const Snapshot& snapshot, Mode side, const Selection& at,
                          const TokenWindow& window) {
  const SideData& data = snapshot.now->side(side);
  const int n = snapshot.now->n_tokens;
  LastRowBars b;
  const float* scores = score_row(data, at.layer, at.head, n - 1, n);
  const float* weights = prob_row(data, at.layer, at.head, n - 1, n);
  if (!scores || !weights) return b;
  b.scores.assign(scores, scores + n);
  b.weights.assign(weights, weights + n);
  const std::vector<int> keys = keys_seen(data, at.layer, n - 1);
  b.seen.assign(static_cast<size_t>(n), false);
  for (const int s : keys) b.seen[static_cast<size_t>(s)] = true;
  const auto [least, most] =
      std::minmax_element(keys.begin(), keys.end(), [&](int a, int c) { return scores[a] < scores[c]; });
  b.smallest_score = keys.empty() ? 0 : scores[*least];
  b.largest_score = keys.empty() ? 0 : scores[*most];
  double sum = 0;
  for (float w : b.weights) sum += double{w};
  b.weight_sum = static_cast<float>(sum);
  b.score_caption = fmt::format("scores of row {}", n - 1);
  b.weight_caption = fmt::format("weights of row {} · Σ = {:.3f}", n - 1, sum);
  b.weight_top = weight_top(*std::max_element(b.weights.begin(), b.weights.end()));
  b.outside = outside(b.weights, window);
  b.show_scores = reached(at.beat, Beat::score);
  b.show_weights = reached(at.beat, Beat::softmax);
  b.morph = at.beat == Beat::softmax;
  return b;
}

}  // namespace lastrow::view
