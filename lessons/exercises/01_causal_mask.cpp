// Exercise 01: the causal mask.
//
// Task      A step adds q_len new tokens to a sequence. Then the sequence has kv_len tokens, and the queries
//           are those of the last q_len tokens. Each query may see its own key and all keys before it. Which
//           keys are these?
// Lesson    2
// Tests     prefill (q_len == kv_len), decode (one query), a chunk (q_len < kv_len); then every size up to
//           33; and steps with more queries than keys, where the first queries see nothing
//
//   lessons/check 01
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// t counts the queries of this step from 0; s counts the keys of the whole sequence from 0.
bool sees(int32_t q_len, int32_t kv_len, int32_t t, int32_t s) {
  // Your turn: return true if query t may see key s. Now every query sees every key.
  return true;
}

}  // namespace lastrow::exercises
