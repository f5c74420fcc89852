#include "viewer/view_model/describe/step_data.h"

#include <algorithm>
#include <limits>
#include <set>

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

constexpr Floats LayerData::*kArrays[] = {
    &LayerData::q,   &LayerData::k,   &LayerData::v,           &LayerData::scores,     &LayerData::probs,
    &LayerData::out, &LayerData::lse, &LayerData::last_scores, &LayerData::last_probs, &LayerData::stored_k};

}  // namespace

int64_t StepData::bytes() const { return held_bytes({this}); }

int64_t held_bytes(const std::vector<const StepData*>& steps) {
  std::set<const void*> seen{nullptr};
  int64_t n = 0;
  const auto add = [&](const void* identity, int64_t bytes) {
    if (seen.insert(identity).second) n += bytes;
  };
  for (const StepData* step : steps) {
    if (!step || !seen.insert(step).second) continue;
    n += static_cast<int64_t>(sizeof(StepData) + step->tokens.size() * sizeof(int32_t));
    for (const SideData& s : step->sides) {
      n += static_cast<int64_t>(s.logits.size() * sizeof(float));
      for (const HeldRows& rows : s.groups)
        n += static_cast<int64_t>((rows.keys.size() + rows.kept.size()) * sizeof(PlacedRow));
      for (const LayerData& l : s.layers)
        for (const auto array : kArrays) add((l.*array).identity(), (l.*array).bytes());
      if (s.focus) add(s.focus.get(), s.focus->scores.bytes() + s.focus->probs.bytes());
    }
  }
  return n;
}

StepSize step_size(const ModelConfig& c, int n_tokens, bool prefill) {
  constexpr int64_t kFloat = sizeof(float);
  StepSize size;
  for (const Mode side : {Mode::cached, Mode::recompute}) {
    const int64_t q_len = side == Mode::recompute || prefill ? n_tokens : 1;
    const int64_t rows =
        q_len * c.n_q_heads * (2 * c.head_dim + 1) + 2 * int64_t{n_tokens} * c.n_kv_heads * c.head_dim;
    const int64_t last = 2 * int64_t{c.n_q_heads} * n_tokens;
    size.rows += kFloat * c.n_layers * (rows + last);
    size.whole += kFloat * c.n_layers * (rows + last * q_len);
  }
  return size;
}

int index_of(const std::vector<PlacedRow>& rows, int position) {
  const auto at = std::ranges::lower_bound(rows, position, {}, &PlacedRow::position);
  return at == rows.end() || at->position != position ? -1 : static_cast<int>(at - rows.begin());
}

bool was_evicted(const HeldRows& rows, int position) {
  return std::ranges::find(rows.evicted, position, &EvictedRow::position) != rows.evicted.end();
}

VisibleKeys indices_seen(const SideData& s, int layer, int query_position) {
  return visible_keys(s.layers[static_cast<size_t>(layer)].mask, s.q_len, s.held(layer).n_keys(),
                      query_position - s.first_position);
}

KeyUse key_use(const SideData& s, int layer, int query_position, int key_position) {
  if (key_position > query_position) return KeyUse::later;
  const int index = index_of(s.held(layer).keys, key_position);
  if (index < 0) return KeyUse::not_stored;
  return indices_seen(s, layer, query_position).sees(index) ? KeyUse::seen : KeyUse::masked;
}

std::vector<int> keys_seen(const SideData& s, int layer, int query_position) {
  const VisibleKeys seen = indices_seen(s, layer, query_position);
  const std::vector<PlacedRow>& keys = s.held(layer).keys;
  std::vector<int> positions;
  for (int i = 0; i < seen.count(); ++i)
    positions.push_back(keys[static_cast<size_t>(seen.index(i))].position);
  return positions;
}

int n_keys_seen(const SideData& s, int layer, int query_position) {
  return indices_seen(s, layer, query_position).count();
}

int used_position(const SideData& s, int query_position) {
  if (s.new_positions.empty()) return query_position;
  return s.new_positions[static_cast<size_t>(query_position - s.first_position)];
}

int used_position(const SideData& s, int layer, int query_position, int key_position) {
  if (s.new_positions.empty() || key_position < s.layers[static_cast<size_t>(layer)].mask.sinks)
    return key_position;
  return used_position(s, query_position) - (query_position - key_position);  // the ring has no gaps
}

bool is_key_as_read(const SideData& s, int layer, int query_position, int key_position) {
  if (s.new_positions.empty()) return true;
  const std::vector<PlacedRow>& keys = s.held(layer).keys;
  const int index = index_of(keys, key_position);
  return index >= 0 && keys[static_cast<size_t>(index)].new_position ==
                           used_position(s, layer, query_position, key_position);
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

void to_positions(const float* by_index, int64_t n_rows, const std::vector<PlacedRow>& keys, int64_t n_tokens,
                  float elsewhere, float* to) {
  std::fill_n(to, n_rows * n_tokens, elsewhere);
  for (int64_t row = 0; row < n_rows; ++row)
    for (const PlacedRow& key : keys) to[row * n_tokens + key.position] = *by_index++;
}

}  // namespace lastrow::view
