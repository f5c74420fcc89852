// Exercise 01: the causal mask.
//
// Asked     A step brings q_len new tokens to a sequence that has kv_len tokens after it: its queries are
//           those of the last q_len tokens. Which keys may each of them see? Its own, and all before it.
// Met in    lesson 2
// Tried     prefill (q_len == kv_len), decode (one query), a chunk (q_len < kv_len), then every size up to
//           33, and steps with more queries than keys, whose first queries see nothing
//
//   lessons/check 01
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// t counts the queries of this step from 0, s the keys of the whole sequence from 0.
bool sees(int32_t q_len, int32_t kv_len, int32_t t, int32_t s) {
  // Your turn: true where query t may see key s. Now every query sees everything.
  return true;
}

}  // namespace lastrow::exercises
