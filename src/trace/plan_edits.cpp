#include "trace/plan_edits.h"

#include <algorithm>

#include "core/error.h"

namespace lastrow {

void forget_oldest(StepPlan& plan, int32_t i, int32_t n) {
  LASTROW_CHECK(n >= 0 && n <= past_of(plan, i) - plan.table_sinks,
                "{} rows to forget of {} past ones, {} sinks", n, past_of(plan, i), plan.table_sinks);
  if (plan.table_first.empty()) plan.table_first.assign(static_cast<size_t>(plan.n_seqs()), 0);
  int32_t& first = plan.table_first[static_cast<size_t>(i)];
  const int32_t n_sink_blocks = (plan.table_sinks + plan.block_len - 1) / plan.block_len;
  const auto table = plan.block_tables.begin() + int64_t{i} * plan.blocks_per_seq;
  const auto end = table + plan.blocks_per_seq;
  const auto rest = std::shift_left(table + n_sink_blocks, end, (first + n) / plan.block_len);
  std::fill(rest, end, -1);
  first = (first + n) % plan.block_len;
  if (!plan.key_positions.empty()) {
    const auto positions = plan.key_positions.begin() + int64_t{i} * plan.keys_per_seq();
    std::shift_left(positions + plan.table_sinks, positions + plan.kv_len[static_cast<size_t>(i)], n);
  }
  plan.kv_len[static_cast<size_t>(i)] -= n;
}

}  // namespace lastrow
