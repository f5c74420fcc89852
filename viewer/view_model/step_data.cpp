#include "viewer/view_model/step_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace lastrow::view {

namespace {

const float* fed_row(const SideData& s, const std::vector<float>& x, int position, int head, int n_heads,
                     int width) {
  const int row = position - s.first_position;
  if (row < 0 || row >= s.q_len || x.empty()) return nullptr;
  return x.data() + (int64_t{row} * n_heads + head) * width;
}

const float* stored_row(const std::vector<float>& x, int position, int head, int n_heads, int width) {
  const int64_t at = (int64_t{position} * n_heads + head) * width;
  return position < 0 || at + width > static_cast<int64_t>(x.size()) ? nullptr : x.data() + at;
}

const float* matrix_row(const SideData& s, const std::vector<float>& x, int position, int head,
                        int n_tokens) {
  const int row = position - s.first_position;
  if (row < 0 || row >= s.q_len || x.empty()) return nullptr;
  return x.data() + (int64_t{head} * s.q_len + row) * n_tokens;
}

/// The smallest exponent whose power of two holds 99 of 100 of the finite values.
int scale_exponent(std::vector<float>& magnitudes) {
  if (magnitudes.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>((magnitudes.size() - 1) * 99 / 100);
  std::nth_element(magnitudes.begin(), magnitudes.begin() + at, magnitudes.end());
  const float m = magnitudes[static_cast<size_t>(at)];
  return m > 0 ? std::clamp(static_cast<int>(std::ceil(std::log2(m))), -20, 40) : 0;
}

void gather(const std::vector<float>& from, std::vector<float>& magnitudes) {
  for (float x : from)
    if (std::isfinite(x)) magnitudes.push_back(std::fabs(x));
}

}  // namespace

int64_t StepData::bytes() const {
  size_t n = tokens.size() * sizeof(int32_t);
  for (const SideData& s : sides) {
    n += s.logits.size() * sizeof(float);
    for (const LayerData& l : s.layers)
      n += sizeof(float) * (l.q.size() + l.k.size() + l.v.size() + l.scores.size() + l.probs.size() +
                            l.out.size() + l.lse.size());
  }
  return static_cast<int64_t>(n);
}

const float* q_row(const World& w, const SideData& s, int layer, int head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  return fed_row(s, l.q, position, head, w.config().n_q_heads, w.config().head_dim);
}

const float* out_row(const World& w, const SideData& s, int layer, int head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  return fed_row(s, l.out, position, head, w.config().n_q_heads, w.config().head_dim);
}

const float* k_row(const World& w, const SideData& s, int layer, int kv_head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  return stored_row(l.k, position, kv_head, w.config().n_kv_heads, w.config().head_dim);
}

const float* v_row(const World& w, const SideData& s, int layer, int kv_head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  return stored_row(l.v, position, kv_head, w.config().n_kv_heads, w.config().head_dim);
}

const float* score_row(const World&, const SideData& s, int layer, int head, int position, int n_tokens) {
  return matrix_row(s, s.layers[static_cast<size_t>(layer)].scores, position, head, n_tokens);
}

const float* prob_row(const World&, const SideData& s, int layer, int head, int position, int n_tokens) {
  return matrix_row(s, s.layers[static_cast<size_t>(layer)].probs, position, head, n_tokens);
}

float lse_at(const World& w, const SideData& s, int layer, int head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  const float* at = fed_row(s, l.lse, position, head, w.config().n_q_heads, 1);
  return at ? *at : std::numeric_limits<float>::quiet_NaN();
}

bool same_logits(const SideData& a, const SideData& b) {
  return a.logits.size() == b.logits.size() &&
         std::memcmp(a.logits.data(), b.logits.data(), a.logits.size() * sizeof(float)) == 0;
}

double largest_change(const float* a, const float* b, int n) {
  double largest = 0;
  for (int i = 0; i < n; ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) == 0 || a[i] == b[i]) continue;
    const double d = std::fabs(double{a[i]} - double{b[i]});
    largest = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(largest, d);
  }
  return largest;
}

int most_focused_head(const World& w, const StepData& step, int layer) {
  const SideData& s = step.side(Side::cached);
  const int last = step.n_tokens - 1;
  int best = 0;
  float best_weight = -1;
  for (int h = 0; h < w.config().n_q_heads; ++h) {
    const float* p = prob_row(w, s, layer, h, last, step.n_tokens);
    if (!p) continue;
    // Position 0 is left out where there are others: many heads rest on it and say nothing by that.
    const float weight =
        last >= 2 ? *std::max_element(p + 1, p + last) : *std::max_element(p, p + std::max(1, last));
    if (weight > best_weight) {
      best_weight = weight;
      best = h;
    }
  }
  return best;
}

std::vector<LayerScales> scales_of(const World& w,
                                   const std::vector<std::shared_ptr<const StepData>>& steps) {
  std::vector<LayerScales> scales(static_cast<size_t>(w.config().n_layers));
  for (size_t layer = 0; layer < scales.size(); ++layer) {
    std::array<std::vector<float>, 5> magnitudes;
    for (const auto& step : steps) {
      const LayerData& l = step->side(Side::cached).layers[layer];
      gather(l.q, magnitudes[0]);
      gather(l.k, magnitudes[1]);
      gather(l.v, magnitudes[2]);
      gather(l.scores, magnitudes[3]);
      gather(l.out, magnitudes[4]);
    }
    scales[layer] = {scale_exponent(magnitudes[0]), scale_exponent(magnitudes[1]),
                     scale_exponent(magnitudes[2]), scale_exponent(magnitudes[3]),
                     scale_exponent(magnitudes[4])};
  }
  return scales;
}

}  // namespace lastrow::view
