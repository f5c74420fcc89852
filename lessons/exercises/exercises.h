// The exercises: what each asks for, as a declaration that the exercise, its checker and its solution share.
//
//   lessons/exercises/NN_….cpp     fill the gap, which is marked  // Your turn
//   lessons/check NN               says whether it is right, and if not, what is wrong
//
// Do not change the declarations: the checkers call them.
#pragma once

#include <cstdint>

namespace lastrow::exercises {

// ---- 01 the causal mask
/// May query t of a step's q_len queries see key s of the sequence's kv_len keys?
bool sees(int32_t q_len, int32_t kv_len, int32_t t, int32_t s);

}  // namespace lastrow::exercises
