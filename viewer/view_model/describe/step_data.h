// One finished step of both sides, copied out of the sessions. Every picture of that step is made from it.
//
// It never changes once it is made, so the thread that runs steps and the
// thread that draws share it without a lock.
//   q, out         [q_len, n_q_heads, head_dim]      row 0 is position first_position
//   k, v           [n_keys, n_kv_heads, head_dim]    n_keys of the layer; as attention read them: with cached rows and
//                                                    with pokes
//   stored_k       like k, before RoPE               only if the cache stores K so, because it uses new positions
//   scores, probs  [n_q_heads, q_len, n_tokens]      scores −∞ and probs 0 where masked or not stored
//   lse            [q_len, n_q_heads]
//   last_scores, last_probs   [n_q_heads, n_tokens]  of the last row alone
//
// Rows and columns of pictures are *positions*. A cache that forgets rows holds fewer keys than there are tokens, so
// the row of a key is at another *index*. SideData::held(layer) says which, as the cache said it in this step. Use the
// functions of held_rows.h, key_use.h and step_rows.h; never take a position for an index or a slot. Layers may
// differ: in a model in which only some layers have a window, only these forget rows.
//
// With new positions (cache/window_cache.h) RoPE goes by the index of a row. Then every token needs a pass of its own,
// because each query needs the keys at other positions. The left side has one pass in a step. Without a cache there is
// one for every token, and SideData joins them: q and out are those of each row's own pass, k and v those of the last
// pass that read the row, and `keys` has all rows.
//
// How much of a step is kept depends on its size (step_size):
//   whole up to kWholeStepBytes      all of the above
//   rows up to kStepRowsBytes        q, k, v, out and lse of all layers, and the last row of scores and probs
//   larger                           q, k, v, out and lse of one layer, and the last row of all layers
// In the last two cases StepData::whole is false, and SideData::focus has the rows of one head that are on
// show. The functions of step_rows.h give null for what is not held.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "session/session.h"
#include "viewer/view_model/describe/floats.h"
#include "viewer/view_model/describe/held_rows.h"
#include "viewer/view_model/describe/reduce.h"
#include "viewer/view_model/describe/setup.h"

namespace lastrow::view {

constexpr int64_t kWholeStepBytes = int64_t{48} << 20;
constexpr int64_t kStepRowsBytes = int64_t{512} << 20;

/// The rows of one head that are shown. Only steps that are too large to keep whole use it.
struct Focus {
  int layer = 0, head = 0;  // query head
  int first_row = 0, n_rows = 0;
  bool operator==(const Focus&) const = default;
};

/// Scores and weights of one head of a step that is too large to keep whole.
struct FocusRows {
  Focus at;              // first_row and n_rows: those of these tokens that the side computed
  Floats scores, probs;  // [at.n_rows, n_tokens]
  std::shared_ptr<const ReducedWeights> reduced;  // of all rows that the side computed
};

struct LayerData {
  Floats q, k, v, scores, probs, out, lse, last_scores, last_probs, stored_k;
  MaskRule mask;          // which keys a query sees, by index
  bool recorded = false;  // false: q, k, v, out and lse are too large to keep
};

struct SideData {
  int first_position = 0;  // of the rows that were fed in this step
  int q_len = 0;
  std::vector<LayerData> layers;           // [n_layers]
  std::shared_ptr<const FocusRows> focus;  // null if the step is whole
  std::vector<float> logits;               // [vocab_size]
  int next_token = 0;
  StepRecord record;
  double wall_us = 0;               // of this step; see StepData::timed
  std::vector<PokeReport> reports;  // one per poke
  // [q_len], of the queries, if the cache uses new positions; else empty
  std::vector<int32_t> new_positions;
  std::vector<HeldRows> groups;  // one, or two if only some layers have a window and a ring
  WindowedLayers windowed;       // the layers of group 1

  const HeldRows& held(int layer) const { return groups[windowed.has(layer) ? 1 : 0]; }
};

struct StepData {
  int step = 0;
  int n_tokens = 0;
  std::vector<int32_t> tokens;    // [n_tokens]
  std::vector<Poke> pokes;        // active
  std::array<SideData, 2> sides;  // [Mode]
  bool whole = true;              // false: too large to keep whole
  bool timed = false;             // true: wall_us is the median of several runs without recording
  const SideData& side(Mode side) const { return sides[static_cast<size_t>(side)]; }
  bool prefill() const { return step == 0; }
  int64_t bytes() const;
};

/// The bytes of these steps together. Memory that they share counts once. Null is allowed.
int64_t held_bytes(const std::vector<const StepData*>& steps);

/// The bytes of both sides of a step.
struct StepSize {
  int64_t whole = 0;  // everything
  int64_t rows = 0;   // without scores and probs, except for their last rows
};
StepSize step_size(const ModelConfig& config, int n_tokens, bool prefill);

}  // namespace lastrow::view
