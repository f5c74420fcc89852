// Replaces one row and measures what changes: in the logits of both sides of a twin,
// or in attention's output.
//
//   LogitWatch watch(twin);                                          remembers the logits of the current step
//   const Effect effect = watch.poke({.what = Poke::What::q, .position = 2, .step = 1});
//   effect.cached.same_bits   effect.recompute.moved                 the poke stays until the next one
//
//   std::vector<ValueShare> shares = value_shares(session, layer);   shares[s]: v[s] was replaced
#pragma once

#include <limits>
#include <vector>

#include "session/twin.h"
#include "trace/poke.h"

namespace lastrow::lessons {

/// What a poke changes in the logits of each side.
struct Effect {
  struct Side {
    bool same_bits = false;
    double moved = 0;  // largest change, as a share of the largest logit
  };
  Side cached, recompute;
};

class LogitWatch {
 public:
  /// The twin must have no poke yet, and must outlive this object.
  explicit LogitWatch(TwinSession& twin);
  Effect poke(const Poke& poke);

 private:
  TwinSession& twin_;
  std::vector<float> cached_, recompute_;  // unpoked
};

/// What one past value changed in the last row of attention's output, before w_o. If an element of the value
/// changes by Δ, the same element of the output should move by p · Δ;
/// p is the weight of the value in that head.
struct ValueShare {
  int64_t head = 0;                           // head of the element that moved most
  double weight = 0, delta = 0, changed = 0;  // of that element: p, Δ, how far the output moved
  double error =
      std::numeric_limits<double>::infinity();  // largest |moved − p · Δ| of all elements, as a share
                                                // of the largest output; ∞: nothing was measured
  int64_t heads_with_weight = 0;                // number of heads in which p is above 0
};

/// Replaces each value before the last one, one after the other, in the session's last step. That must be a
/// decode step recorded with `probe`. The last poke stays set.
std::vector<ValueShare> value_shares(DecodeSession& session, int32_t layer);

}  // namespace lastrow::lessons
