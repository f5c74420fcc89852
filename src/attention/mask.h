// Who sees whom: the mask as arithmetic on indices, for one sequence.
//
// Causal masks are aligned bottom-right: the last query of a step sees every key, query t of q_len sees the
// keys with index ≤ kv_len − q_len + t. A window w narrows that to the last w of them. Not causal: every
// query sees every key. What is not visible is *left out* (never scored as −10000, never multiplied by 0), so
// a slot that is masked or unused may hold NaN.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace lastrow {

struct MaskRule {
  bool causal = true;
  int32_t window = 0;  // 0: none; else only the last `window` keys that causality allows
};

/// Keys [begin, end) that a query sees; empty if begin == end.
struct KeyRange {
  int32_t begin, end;
};

LASTROW_HD constexpr KeyRange visible_keys(MaskRule rule, int32_t q_len, int32_t kv_len, int32_t t) {
  int32_t end = rule.causal ? kv_len - q_len + t + 1 : kv_len;
  if (end < 0) end = 0;
  int32_t begin = rule.window > 0 ? end - rule.window : 0;
  if (begin < 0) begin = 0;
  return {begin, end};
}

/// How attention is done, beyond its operands.
struct AttendSpec {
  float scale = 1.0f;  // 1/√head_dim unless the model says otherwise
  MaskRule mask{};
};

}  // namespace lastrow
