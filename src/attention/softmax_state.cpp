// This folder has only headers. This file compiles them, so an error shows even if no other file includes
// them.
#include "attention/softmax_state.h"

#include "attention/mask.h"
#include "attention/score.h"

namespace lastrow {
template struct SoftmaxState<float>;
template struct SoftmaxState<double>;
}  // namespace lastrow
