#include "lessons/support/poke_trials.h"

#include <algorithm>
#include <cmath>

#include "lessons/support/compare.h"

namespace lastrow::lessons {
namespace {

std::vector<float> copy(std::span<const float> x) { return {x.begin(), x.end()}; }

Effect::Side side(std::span<const float> before, std::span<const float> after) {
  return {same_bits(before, after), moved(before, after)};
}

/// One layer of the last step, in double precision.
struct Attended {
  std::vector<double> out;  // [n_q_heads, head_dim]
  std::vector<double> v;    // [n_keys, n_kv_heads, head_dim]
  std::vector<double> p;    // [n_q_heads, n_keys]

  Attended(const DecodeSession& session, int32_t layer) {
    const StepTensors step = session.recorder().tensors(session.last_step());
    const LayerTensors& tensors = step.layers[layer];
    out = numbers(tensors.out), v = numbers(tensors.v), p = numbers(tensors.probs);
  }
};

/// The share of v[s], from the layer before and after v[s] was replaced.
ValueShare measure_share(const Attended& before, const Attended& after, int64_t s, int64_t n_keys,
                         const ModelConfig& config) {
  ValueShare share;
  const int64_t dim = config.head_dim, n_kv = config.n_kv_heads, n_heads = config.n_q_heads;
  const auto n_values = static_cast<size_t>(n_keys * n_kv * dim);
  if (before.v.size() != n_values || after.v.size() != n_values) return share;  // possible with a fault
  double size = 0, error = 0;
  for (const double x : before.out) size = std::max(size, std::abs(x));
  for (int64_t h = 0; h < n_heads; ++h) {
    const double weight = before.p[h * n_keys + s];
    share.heads_with_weight += weight > 0;
    for (int64_t d = 0; d < dim; ++d) {
      const int64_t at = (s * n_kv + h / config.group_size()) * dim + d;
      const double delta = after.v[at] - before.v[at],
                   changed = after.out[h * dim + d] - before.out[h * dim + d];
      error = std::max(error, std::abs(changed - weight * delta) / size);
      if (std::abs(changed) <= std::abs(share.changed)) continue;
      share.head = h, share.weight = weight, share.delta = delta, share.changed = changed;
    }
  }
  share.error = error;
  return share;
}

}  // namespace

LogitWatch::LogitWatch(TwinSession& twin)
    : twin_(twin), cached_(copy(twin.cached().logits())), recompute_(copy(twin.recompute().logits())) {}

Effect LogitWatch::poke(const Poke& poke) {
  twin_.set_pokes({poke});
  return {side(cached_, twin_.cached().logits()), side(recompute_, twin_.recompute().logits())};
}

std::vector<ValueShare> value_shares(DecodeSession& session, int32_t layer) {
  const Attended before(session, layer);
  const int32_t step = session.last_step(), n_keys = session.n_tokens_at(step);
  std::vector<ValueShare> shares;
  for (int32_t s = 0; s + 1 < n_keys; ++s) {
    session.set_pokes({{.what = Poke::What::v, .layer = layer, .position = s, .seed = 7, .step = step}});
    shares.push_back(measure_share(before, Attended(session, layer), s, n_keys, session.model().config()));
  }
  return shares;
}

}  // namespace lastrow::lessons
