// One finished step of both sides, copied out of the sessions. Every picture of that step is made from it.
//
// It never changes once it is made, so the thread that runs steps and the thread that draws share it without
// a lock.
//   q, out         [q_len, n_q_heads, head_dim]      row 0 is position first_position
//   k, v           [n_tokens, n_kv_heads, head_dim]  as attention read them: with cached rows and with pokes
//   scores, probs  [n_q_heads, q_len, n_tokens]      scores −∞ and probs 0 where masked
//   lse            [q_len, n_q_heads]
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "session/session.h"
#include "viewer/view_model/describe/reduce.h"
#include "viewer/view_model/describe/setup.h"

namespace lastrow::view {

struct LayerData {
  std::vector<float> q, k, v, scores, probs, out, lse;
  bool recorded = false;  // false: too large to keep (RecordOptions::max_bytes)
};

struct SideData {
  int first_position = 0;  // of the rows that were fed in this step
  int q_len = 0;
  std::vector<LayerData> layers;  // [n_layers]
  std::vector<float> logits;      // [vocab_size]
  int next_token = 0;
  StepRecord record;
  double wall_us = 0;               // of this step; see StepData::timed
  std::vector<PokeReport> reports;  // one per poke
  std::vector<int64_t> slots;       // [n_tokens], where the K and V rows are stored
};

struct StepData {
  int step = 0;
  int n_tokens = 0;
  std::vector<int32_t> tokens;    // [n_tokens]
  std::vector<Poke> pokes;        // in force
  std::array<SideData, 2> sides;  // [Mode]
  bool timed = false;             // true: wall_us is the median of several runs without recording
  const SideData& side(Mode side) const { return sides[static_cast<size_t>(side)]; }
  bool prefill() const { return step == 0; }
  int64_t bytes() const;
};

// ---- rows by position; null if the side has no such row

const float* q_row(const Setup& setup, const SideData& s, int layer, int head, int position);
const float* out_row(const Setup& setup, const SideData& s, int layer, int head, int position);
const float* k_row(const Setup& setup, const SideData& s, int layer, int kv_head, int position);
const float* v_row(const Setup& setup, const SideData& s, int layer, int kv_head, int position);
/// [n_tokens], of the query at `position`.
const float* score_row(const SideData& s, int layer, int head, int position, int n_tokens);
const float* prob_row(const SideData& s, int layer, int head, int position, int n_tokens);
/// NaN if the side has no such row.
float lse_at(const Setup& setup, const SideData& s, int layer, int head, int position);

/// The weights of a query head in bins, of the rows that the side computed in this step. Null if the layer was
/// not recorded. Cost: one pass over the computed rows of the head.
std::shared_ptr<const ReducedWeights> reduced_weights(const Setup& setup, const SideData& s, int layer,
                                                      int head, int n_tokens);

}  // namespace lastrow::view
