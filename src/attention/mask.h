// The attention mask: which keys a query sees, as arithmetic on the indices of one sequence.
//
//   not causal    every query sees every key
//   causal        query t of q_len sees the keys with index ≤ kv_len − q_len + t, so the last query sees all
//   window w      of the visible keys, only the last w
//   sinks n       beside a window: also the first n keys. Without a window they change nothing
//
//   const VisibleKeys keys = visible_keys(mask, q_len, kv_len, t);
//   for (int32_t i = 0; i < keys.count(); ++i) … keys.index(i) …      in ascending order
//
// So a causal mask is aligned bottom-right in the score matrix. With a window, the visible keys are two
// ranges: the sinks [0, sinks) and the window [begin, end). Do not use `begin` and `end` alone: that forgets
// the sinks.
// A key that is not visible is *left out*. It never gets a score of −10000 and is never multiplied by 0. That
// is why a masked or unused slot may hold NaN.
// Source of the sinks: Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks".
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace lastrow {

struct MaskRule {
  bool causal = true;
  int32_t window = 0;  // 0: no window; else only the last `window` keys that the causal mask allows
  int32_t sinks = 0;   // beside a window: the first `sinks` keys stay visible

  /// The most keys that a query sees, which the costs need: 0 means all.
  LASTROW_HD constexpr int64_t most_keys() const { return window > 0 ? int64_t{window} + sinks : 0; }
};

/// The mask of a model's layer under a policy's window and sinks (0: none): a query sees the keys that both
/// allow. See can_narrow.
LASTROW_HD constexpr MaskRule narrowed(MaskRule model, int32_t window, int32_t sinks) {
  if (window == 0 || (model.window > 0 && model.window <= window)) return model;
  return {model.causal, window, sinks};
}
/// Whether narrowed() is exact. It is not if the model's window is wider than the policy's and the policy has
/// sinks: a query must then see those sinks that are in the model's window, and other queries others.
LASTROW_HD constexpr bool can_narrow(MaskRule model, int32_t window, int32_t sinks) {
  return sinks == 0 || model.window <= window;
}

/// The keys [begin, end). Empty if begin == end.
struct KeyRange {
  int32_t begin, end;
};

/// The keys that a query sees: [0, sinks) and [begin, end).
/// Invariant: the ranges do not touch. If they would, they are one, and sinks is 0.
struct VisibleKeys {
  int32_t begin, end;
  int32_t sinks = 0;

  LASTROW_HD constexpr int32_t count() const { return sinks + (end - begin); }
  LASTROW_HD constexpr bool sees(int32_t s) const { return s < sinks || (s >= begin && s < end); }
  /// The i-th of them, in ascending order.
  LASTROW_HD constexpr int32_t index(int32_t i) const { return i < sinks ? i : begin + (i - sinks); }
  /// Walks over tiles of n keys that hold some of them, counted from index 0:
  ///   for (int32_t s = keys.first_tile(n); s < keys.end; s = keys.next_tile(s, n))
  LASTROW_HD constexpr int32_t first_tile(int32_t n) const { return sinks > 0 ? 0 : begin / n * n; }
  LASTROW_HD constexpr int32_t next_tile(int32_t s, int32_t n) const {
    const bool jumps = sinks > 0 && s + n >= sinks && s + 2 * n <= begin;  // s is a multiple of n
    return jumps ? begin / n * n : s + n;
  }
  /// The sinks (0) or the window (1).
  LASTROW_HD constexpr KeyRange range(int32_t i) const {
    return i == 0 ? KeyRange{0, sinks} : KeyRange{begin, end};
  }
};

LASTROW_HD constexpr VisibleKeys visible_keys(MaskRule rule, int32_t q_len, int32_t kv_len, int32_t t) {
  int32_t end = rule.causal ? kv_len - q_len + t + 1 : kv_len;
  if (end < 0) end = 0;
  int32_t begin = rule.window > 0 ? end - rule.window : 0;
  if (begin < 0) begin = 0;
  if (rule.sinks >= begin) return {0, end};
  return {begin, end, rule.sinks};
}

}  // namespace lastrow
