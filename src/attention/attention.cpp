// The headers of this folder are all there is to it; compiling them here keeps them honest without a user.
#include "attention/mask.h"
#include "attention/softmax_state.h"

namespace lastrow {
template struct SoftmaxState<float>;
template struct SoftmaxState<double>;
}  // namespace lastrow
