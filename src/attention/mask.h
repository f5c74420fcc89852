// The attention mask: which keys a query sees, as arithmetic on the indices of one sequence.
//
//   not causal    every query sees every key
//   causal        query t of q_len sees the keys with index ≤ kv_len − q_len + t, so the last query sees all
//   window w      of the visible keys, only the last w
//
// So a causal mask is aligned bottom-right in the score matrix.
// A key that is not visible is *left out*. It never gets a score of −10000 and is never multiplied by 0. That
// is why a masked or unused slot may hold NaN.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace lastrow {

struct MaskRule {
  bool causal = true;
  int32_t window = 0;  // 0: no window; else only the last `window` keys that the causal mask allows
};

/// The keys [begin, end) that a query sees. Empty if begin == end.
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

}  // namespace lastrow
