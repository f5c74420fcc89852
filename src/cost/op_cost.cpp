#include "cost/op_cost.h"

#include <algorithm>

namespace lastrow::cost {
namespace {

int64_t triangle(int64_t n) { return n <= 0 ? 0 : n * (n + 1) / 2; }  // 1 + 2 + … + n

}  // namespace

// The queries stand at indices first .. kv_len − 1. Both sums run over m = index + 1 and are differences of
// a sum from 1, so the cost of counting does not grow with the lengths.
int64_t visible_cells(int64_t q_len, int64_t kv_len, bool causal, int64_t window) {
  const int64_t first = kv_len - q_len;
  // Σ_{m ≤ n} max(0, m − window): what the window hides, before the causal mask
  const auto hidden = [window](int64_t n) { return window > 0 ? triangle(n - window) : 0; };
  const int64_t seen = causal ? triangle(kv_len) - triangle(std::max<int64_t>(first, 0)) : q_len * kv_len;
  return seen - (hidden(kv_len) - hidden(first));
}

int64_t visible_rows(int64_t q_len, int64_t kv_len, int64_t window) {
  if (q_len <= 0) return 0;
  const int64_t first = kv_len - q_len;
  return window > 0 ? kv_len - std::max<int64_t>(first - window + 1, 0) : kv_len;
}

}  // namespace lastrow::cost
