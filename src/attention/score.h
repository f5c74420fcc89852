// The settings of an attention, beside its operands: how a score is made from q and k, and which scores count.
//
//   score[h,t,s] = scale · q[t,h,:]·k[s,g,:]    for the keys s that the mask lets query t see
//
// A new rule for scores (a soft cap, a slope by distance) belongs here: every backend and every kernel takes this
// struct.
#pragma once

#include "attention/mask.h"

namespace lastrow {

struct AttendSpec {
  float scale = 1.0f;  // 1/√head_dim unless the model says otherwise
  MaskRule mask{};
};

}  // namespace lastrow
