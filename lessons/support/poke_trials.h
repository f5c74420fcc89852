// What a replaced row changes: in the logits of both sides of a twin, or in the output of attention.
//
//   LogitWatch watch(twin);                           the logits of the step that the twin stands at
//   const Effect effect = watch.poke({.what = Poke::What::q, .position = 2, .step = 1});
//   effect.cached.same_bits   effect.recompute.moved          it stays until the next one is set
//
//   std::vector<ValueShare> shares = value_shares(session, layer);     entry s: v[s] replaced
#pragma once

#include <limits>
#include <vector>

#include "session/twin.h"
#include "trace/poke.h"

namespace lastrow::lessons {

/// On the logits of each side.
struct Effect {
  struct Side {
    bool same_bits = false;
    double moved = 0;  // of the largest logit
  };
  Side cached, recompute;
};

class LogitWatch {
 public:
  /// No poke may be set; the twin must outlive this.
  explicit LogitWatch(TwinSession& twin);
  Effect poke(const Poke& poke);

 private:
  TwinSession& twin_;
  std::vector<float> cached_, recompute_;  // unpoked
};

/// What one past value did to the last row of attention's output, before w_o: each element of the output
/// should move by p · Δ, where Δ is what was added to the value's element and p its weight in that head.
struct ValueShare {
  int64_t head = 0;                                        // of the element that moved most
  double weight = 0, delta = 0, changed = 0;               // there: p, Δ, and what the output moved by
  double error = std::numeric_limits<double>::infinity();  // largest |moved − p · Δ| of all elements, as a
                                                           // share of the output's largest; ∞: no numbers
  int64_t heads_with_weight = 0;                           // in which p is above 0
};

/// Replaces each value before the last in turn, in the session's last step, which must be a decode step that
/// is recorded with `probe`. Leaves the last poke set.
std::vector<ValueShare> value_shares(DecodeSession& session, int32_t layer);

}  // namespace lastrow::lessons
