#include "cost/op_cost.h"

#include <algorithm>

namespace lastrow::cost {
namespace {

/// The cells of queries that see 1, 2, …, end keys under the causal mask: Σ_{e ≤ end} min(e, most_keys).
int64_t cells_up_to(int64_t end, int64_t most_keys) {
  if (end <= 0) return 0;
  const int64_t cut =
      most_keys > 0 ? std::max<int64_t>(end - most_keys, 0) : 0;  // queries that do not see all
  return end * (end + 1) / 2 - cut * (cut + 1) / 2;
}

}  // namespace

int64_t visible_cells(int64_t q_len, int64_t kv_len, bool causal, int64_t most_keys) {
  if (!causal) return q_len * (most_keys > 0 ? std::min(most_keys, kv_len) : kv_len);
  return cells_up_to(kv_len, most_keys) - cells_up_to(kv_len - q_len, most_keys);
}

int64_t visible_rows(int64_t q_len, int64_t kv_len, bool causal, int64_t most_keys) {
  if (q_len <= 0) return 0;
  if (most_keys <= 0) return kv_len;
  const int64_t first_end = causal ? kv_len - q_len + 1 : kv_len;
  return kv_len - std::max<int64_t>(first_end - most_keys, 0);
}

}  // namespace lastrow::cost
