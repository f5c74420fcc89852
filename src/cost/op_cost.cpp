#include "cost/op_cost.h"

#include <algorithm>

namespace lastrow::cost {
namespace {

/// The cells of queries that see 1, 2, …, end keys under the causal mask: Σ_{e ≤ end} min(e, window).
int64_t cells_up_to(int64_t end, int64_t window) {
  if (end <= 0) return 0;
  const int64_t cut = window > 0 ? std::max<int64_t>(end - window, 0) : 0;  // queries that the window limits
  return end * (end + 1) / 2 - cut * (cut + 1) / 2;
}

}  // namespace

int64_t visible_cells(int64_t q_len, int64_t kv_len, bool causal, int64_t window) {
  if (!causal) return q_len * (window > 0 ? std::min(window, kv_len) : kv_len);
  return cells_up_to(kv_len, window) - cells_up_to(kv_len - q_len, window);
}

int64_t visible_rows(int64_t q_len, int64_t kv_len, bool causal, int64_t window) {
  if (q_len <= 0) return 0;
  if (window <= 0) return kv_len;
  const int64_t first_end = causal ? kv_len - q_len + 1 : kv_len;
  return kv_len - std::max<int64_t>(first_end - window, 0);
}

}  // namespace lastrow::cost
