#include "viewer/view_model/describe/step_rows.h"

#include <cstdint>
#include <limits>

namespace lastrow::view {

namespace {

const float* fed_row(const SideData& s, const Floats& x, int position, int head, int n_heads, int width) {
  const int row = position - s.first_position;
  if (row < 0 || row >= s.q_len || x.empty()) return nullptr;
  return x.data() + (int64_t{row} * n_heads + head) * width;
}

const float* stored_row(const HeldRows& rows, const Floats& x, int position, int head, int n_heads,
                        int width) {
  const int index = index_of(rows.keys, position);
  const int64_t at = (int64_t{index} * n_heads + head) * width;
  return index < 0 || at + width > static_cast<int64_t>(x.size()) ? nullptr : x.data() + at;
}

/// A row of scores or of probs: from the matrix, the last rows, or the rows in focus.
const float* matrix_row(const SideData& s, Floats LayerData::*matrix, Floats LayerData::*last,
                        Floats FocusRows::*in_focus, int layer, int head, int position, int n_tokens) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  const int row = position - s.first_position;
  if (row < 0 || row >= s.q_len) return nullptr;
  if (!(l.*matrix).empty()) return (l.*matrix).data() + (int64_t{head} * s.q_len + row) * n_tokens;
  if (position == n_tokens - 1 && !(l.*last).empty()) return (l.*last).data() + int64_t{head} * n_tokens;
  if (!s.focus || s.focus->at.layer != layer || s.focus->at.head != head) return nullptr;
  const int at = position - s.focus->at.first_row;
  return at < 0 || at >= s.focus->at.n_rows ? nullptr : (*s.focus.*in_focus).data() + int64_t{at} * n_tokens;
}

}  // namespace

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
  return stored_row(s.held(layer), l.k, position, kv_head, setup.config().n_kv_heads,
                    setup.config().head_dim);
}

const float* stored_k_row(const Setup& setup, const SideData& s, int layer, int kv_head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  return stored_row(s.held(layer), l.stored_k, position, kv_head, setup.config().n_kv_heads,
                    setup.config().head_dim);
}

const float* v_row(const Setup& setup, const SideData& s, int layer, int kv_head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  return stored_row(s.held(layer), l.v, position, kv_head, setup.config().n_kv_heads,
                    setup.config().head_dim);
}

const float* score_row(const SideData& s, int layer, int head, int position, int n_tokens) {
  return matrix_row(s, &LayerData::scores, &LayerData::last_scores, &FocusRows::scores, layer, head, position,
                    n_tokens);
}

const float* prob_row(const SideData& s, int layer, int head, int position, int n_tokens) {
  return matrix_row(s, &LayerData::probs, &LayerData::last_probs, &FocusRows::probs, layer, head, position,
                    n_tokens);
}

float lse_at(const Setup& setup, const SideData& s, int layer, int head, int position) {
  const LayerData& l = s.layers[static_cast<size_t>(layer)];
  const float* at = fed_row(s, l.lse, position, head, setup.config().n_q_heads, 1);
  return at ? *at : std::numeric_limits<float>::quiet_NaN();
}

std::shared_ptr<const ReducedWeights> reduced_weights(const Setup& /*setup*/, const SideData& s, int layer,
                                                      int head, int n_tokens) {
  if (s.focus && s.focus->at.layer == layer && s.focus->at.head == head) return s.focus->reduced;
  if (s.layers[static_cast<size_t>(layer)].probs.empty()) return nullptr;
  WeightReducer reducer(n_tokens);
  for (int t = s.first_position; t < s.first_position + s.q_len; ++t)
    if (const float* weights = prob_row(s, layer, head, t, n_tokens)) reducer.add_row(t, weights);
  return std::make_shared<const ReducedWeights>(reducer.take());
}

}  // namespace lastrow::view
