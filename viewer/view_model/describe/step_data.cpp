#include "viewer/view_model/describe/step_data.h"

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

const float* q_row(const Setup& setup, const SideData& s, int layer, int head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  return fed_row(s, l.q, position, head, setup.config().n_q_heads, setup.config().head_dim);
}

const float* out_row(const Setup& setup, const SideData& s, int layer, int head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  return fed_row(s, l.out, position, head, setup.config().n_q_heads, setup.config().head_dim);
}

const float* k_row(const Setup& setup, const SideData& s, int layer, int kv_head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  return stored_row(l.k, position, kv_head, setup.config().n_kv_heads, setup.config().head_dim);
}

const float* v_row(const Setup& setup, const SideData& s, int layer, int kv_head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  return stored_row(l.v, position, kv_head, setup.config().n_kv_heads, setup.config().head_dim);
}

const float* score_row(const SideData& s, int layer, int head, int position, int n_tokens) {
  return matrix_row(s, s.layers[static_cast<size_t>(layer)].scores, position, head, n_tokens);
}

const float* prob_row(const SideData& s, int layer, int head, int position, int n_tokens) {
  return matrix_row(s, s.layers[static_cast<size_t>(layer)].probs, position, head, n_tokens);
}

float lse_at(const Setup& setup, const SideData& s, int layer, int head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  const float* at = fed_row(s, l.lse, position, head, setup.config().n_q_heads, 1);
  return at ? *at : std::numeric_limits<float>::quiet_NaN();
}

std::shared_ptr<const ReducedWeights> reduced_weights(const Setup& /*setup*/, const SideData& s, int layer,
                                                      int head, int n_tokens) {
  if (s.layers[static_cast<size_t>(layer)].probs.empty()) return nullptr;
  WeightReducer reducer(n_tokens);
  for (int t = s.first_position; t < s.first_position + s.q_len; ++t)
    if (const float* weights = prob_row(s, layer, head, t, n_tokens)) reducer.add_row(t, weights);
  return std::make_shared<const ReducedWeights>(reducer.take());
}

}  // namespace lastrow::view
