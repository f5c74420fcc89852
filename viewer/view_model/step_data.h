// One finished step of both sides, copied out of the session: what every picture of that step is made from.
//
// Immutable once made, so the thread that runs steps and the one that draws share it without a lock.
//   q, out          [q_len, n_q_heads, head_dim]      row 0 is position first_position
//   k, v            [n_tokens, n_kv_heads, head_dim]  as attention read them: cached rows included, pokes
//   applied scores, probs   [n_q_heads, q_len, n_tokens]      scores −∞ and probs 0 where masked lse [q_len,
//   n_q_heads]
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/model.h"
#include "session/session.h"
#include "viewer/view_model/pane_state.h"

namespace lastrow::view {

struct LayerData {
  std::vector<float> q, k, v, scores, probs, out, lse;
  bool recorded = false;  // false: too large to keep (RecordOptions::max_bytes)
};

struct SideData {
  int first_position = 0;  // of the rows fed in this step
  int q_len = 0;
  std::vector<LayerData> layers;  // [n_layers]
  std::vector<float> logits;      // [vocab_size]
  int next_token = 0;
  StepRecord record;
  double wall_us = 0;               // median of the runs of this step
  std::vector<PokeReport> reports;  // one a poke
  std::vector<int64_t> slots;       // [n_tokens] where the rows lie
};

struct StepData {
  int step = 0;
  int n_tokens = 0;
  std::vector<int32_t> tokens;    // [n_tokens]
  std::vector<Poke> pokes;        // in force
  std::array<SideData, 2> sides;  // [Side]
  bool timed = false;             // wall_us of the sides is the median of runs without recording
  const SideData& side(Side s) const { return sides[static_cast<size_t>(s)]; }
  bool prefill() const { return step == 0; }
  int64_t bytes() const;
};

/// One attend of the trace: its queries and the keys that its mask let them read (every layer's is alike).
struct AttendRead {
  int q_len = 0, kv_len = 0;
  MaskRule mask;
};

/// Exponents of the value scales of one layer.
struct LayerScales {
  int q = 0, k = 0, v = 0, score = 0, out = 0;
};

/// What stays the same from step to step.
struct World {
  std::shared_ptr<const Model> model;
  std::string model_name, backend, prompt;
  BackendInfo backend_info;
  int prompt_len = 0;
  int max_seq_len = 0;
  std::vector<LayerScales> scales;  // [n_layers]; fixed when the session starts
  const ModelConfig& config() const { return model->config(); }
  const std::string& piece(int32_t token) const { return model->tokenizer().piece(token); }
};

/// All that a picture needs from the session.
struct Scene {
  std::shared_ptr<const World> world;
  std::shared_ptr<const StepData> now;       // with the pokes in force
  std::shared_ptr<const StepData> unpoked;   // the same step without; == now when nothing is poked
  std::shared_ptr<const StepData> previous;  // the step before, without pokes of `now`; null at prefill
  std::vector<int32_t> history;              // every token fed so far, also of later steps
  int last_step = 0;
  bool context_full = false;
  std::array<std::vector<AttendRead>, 2> reads;  // [Side][step], steps 0 … now->step
};

// ---- rows and cells by position; null or NaN where the side has none
const float* q_row(const World& w, const SideData& s, int layer, int head, int position);
const float* out_row(const World& w, const SideData& s, int layer, int head, int position);
const float* k_row(const World& w, const SideData& s, int layer, int kv_head, int position);
const float* v_row(const World& w, const SideData& s, int layer, int kv_head, int position);
/// Row of [n_tokens] for the query at `position`.
const float* score_row(const World& w, const SideData& s, int layer, int head, int position, int n_tokens);
const float* prob_row(const World& w, const SideData& s, int layer, int head, int position, int n_tokens);
float lse_at(const World& w, const SideData& s, int layer, int head, int position);

/// Whether the logits have the same bits.
bool same_logits(const SideData& a, const SideData& b);
/// Largest |a − b|; infinite when one is not finite and they differ.
double largest_change(const float* a, const float* b, int n);
/// The query head whose last row has the largest weight on one past key, the first key not counted (many
/// heads rest on it) where there are others.
int most_focused_head(const World& w, const StepData& step, int layer);
/// Scales that hold 99 of 100 values of the step's cached side.
std::vector<LayerScales> scales_of(const World& w, const std::vector<std::shared_ptr<const StepData>>& steps);

}  // namespace lastrow::view
