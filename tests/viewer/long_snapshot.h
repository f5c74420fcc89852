// A decode step of 4,096 tokens × 32 layers × 32 heads, made by hand because running it takes minutes.
#pragma once

#include <algorithm>
#include <memory>

#include "model/model.h"
#include "viewer/view_model/describe/described_once.h"

namespace lastrow::view {

inline constexpr int kTokens = 4096, kLayers = 32, kHeads = 32, kSteps = 2000;
inline constexpr int kKvHeads = 8, kHeadDim = 8, kHead = 5, kRows = 64;  // head and rows that are shown

inline Floats even(int64_t n, float value) {
  Floats x(n);
  std::fill_n(x.own(), n, value);
  return x;
}

inline SideData side_of(int q_len) {
  SideData s;
  s.first_position = kTokens - q_len;
  s.q_len = q_len;
  s.groups.resize(1);
  for (int i = 0; i < kTokens; ++i) s.groups[0].keys.push_back({i, i});
  s.logits.assign(256, 0.5f);
  s.layers.resize(kLayers);
  for (LayerData& l : s.layers) {
    l.last_scores = even(int64_t{kHeads} * kTokens, 0.25f);
    l.last_probs = even(int64_t{kHeads} * kTokens, 1.0f / kTokens);
  }
  LayerData& l = s.layers[kLayers - 1];  // shown
  l.recorded = true;
  l.q = even(int64_t{q_len} * kHeads * kHeadDim, 0.1f);
  l.out = even(int64_t{q_len} * kHeads * kHeadDim, 0.2f);
  l.k = even(int64_t{kTokens} * kKvHeads * kHeadDim, 0.3f);
  l.v = even(int64_t{kTokens} * kKvHeads * kHeadDim, 0.4f);
  l.lse = even(int64_t{q_len} * kHeads, 1.0f);
  auto focus = std::make_shared<FocusRows>();
  focus->at = {kLayers - 1, kHead, kTokens - kRows, q_len == 1 ? 1 : kRows};
  if (q_len == 1) focus->at.first_row = kTokens - 1;
  focus->scores = even(int64_t{focus->at.n_rows} * kTokens, 0.5f);
  focus->probs = even(int64_t{focus->at.n_rows} * kTokens, 1.0f / kTokens);
  auto reduced = std::make_shared<ReducedWeights>();
  reduced->n_tokens = kTokens;
  reduced->bins = ReducedWeights::kMaxBins;
  reduced->weights.assign(size_t{ReducedWeights::kMaxBins} * ReducedWeights::kMaxBins, 0.02f);
  reduced->n_rows.assign(ReducedWeights::kMaxBins, kTokens / ReducedWeights::kMaxBins);
  focus->reduced = reduced;
  s.focus = focus;
  return s;
}

/// The head kHead of the last layer is shown.
inline Snapshot long_snapshot() {
  auto setup = std::make_shared<Setup>();
  setup->model = load_model(
      "random:layers=32,q_heads=32,kv_heads=8,head_dim=8,model_dim=16,ffn=16,vocab=256,context=4096,seed=1");
  setup->model_name = "long";
  setup->prompt_len = kTokens - kSteps;
  setup->max_seq_len = kTokens;
  setup->scales.resize(kLayers);
  auto step = std::make_shared<StepData>();
  step->step = kSteps;
  step->n_tokens = kTokens;
  for (int i = 0; i < kTokens; ++i) step->tokens.push_back(i % 200);
  step->sides = {side_of(1), side_of(kTokens)};
  step->whole = false;
  Snapshot s;
  s.setup = setup;
  s.now = s.unpoked = step;
  s.history = step->tokens;
  s.last_step = kSteps;
  for (int i = 0; i <= kSteps; ++i) {
    const int kv_len = setup->prompt_len + i;
    s.reads[0].push_back({AttendRead{i == 0 ? kv_len : 1, kv_len, {.causal = true}}});
    s.reads[1].push_back({AttendRead{kv_len, kv_len, {.causal = true}}});
  }
  s.once = describe_once(s);
  return s;
}

}  // namespace lastrow::view
