#include "viewer/view_model/describe/step_data.h"

#include <set>

namespace lastrow::view {

namespace {

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

}  // namespace lastrow::view
