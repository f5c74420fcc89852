#include "ops/row_rule.h"

#include <algorithm>

#include "cache/index.h"
#include "cache/slots.h"

namespace lastrow {
namespace {

// The packed sequence that token t belongs to.
int32_t sequence_with(const StepPlan& plan, int64_t t) {
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    if (t >= plan.q_start[i] && t < plan.q_start[i + 1]) return i;
  throw UsageError("there is no row {} in a step of {} tokens: count from 0", t, plan.n_tokens());
}

// The space of the keys that the call reads.
RowSpace space_of_keys(const CallRows& call) {
  const auto is_rotated = [](const RowSpan& read) { return read.space == RowSpace::rotated; };
  return std::ranges::any_of(call.reads, is_rotated) ? RowSpace::rotated : RowSpace::k;
}

std::vector<Row> attended(const CallRows& call, bool is_lse, int64_t t) {
  const StepPlan& plan = call.plan;
  std::vector<Row> rows{call.reads[0].at(t)};
  const int32_t i = sequence_with(plan, t);
  const VisibleKeys keys =
      visible_keys(call.mask, plan.q_len(i), plan.kv_len[i], static_cast<int32_t>(t) - plan.q_start[i]);
  const RowSpace k = space_of_keys(call);
  for (int32_t n = 0; n < keys.count(); ++n) {
    const int64_t slot = slot_of(block_table(plan, i), keys.index(n));
    rows.push_back({k, call.layer, slot});
    if (!is_lse) rows.push_back({RowSpace::v, call.layer, slot});
  }
  return rows;
}

std::vector<Row> weighed(const CallRows& call, int64_t i) {
  const StepPlan& plan = call.plan;
  if (i < 0 || i >= plan.n_seqs())
    throw UsageError("there is no row {} in a step of {} sequences: count from 0", i, plan.n_seqs());
  std::vector<Row> rows;
  for (int32_t t = plan.q_start[i]; t < plan.q_start[i + 1]; ++t) {
    const std::vector<Row> of_lse = attended(call, true, t);
    rows.insert(rows.end(), of_lse.begin(), of_lse.end());
    rows.push_back(call.reads[1].at(t));
  }
  return rows;
}

// The token whose rows were stored in this slot. If there are two, the later one overwrote the earlier.
int64_t appended_token(const StepPlan& plan, int64_t slot) {
  for (int64_t t = plan.n_tokens() - 1; t >= 0; --t)
    if (plan.append_slots[t] == slot) return t;
  throw UsageError("the step appends no token at slot {}", slot);
}

// A block copy lists its reads and its writes in the same order, slot by slot: (copy, layer, kind).
Row copied_from(const CallRows& call, size_t output, int64_t t) {
  int64_t nth = t;
  for (size_t i = 0; i < output; ++i) nth += call.writes[i].count;
  for (const RowSpan& read : call.reads) {
    if (nth < read.count) return read.at(nth);
    nth -= read.count;
  }
  throw UsageError("a block copy that writes more rows than it reads");
}

std::vector<Row> unsorted_rows(const OpTraits& op, const CallRows& call, size_t output, int64_t t) {
  std::vector<Row> rows;
  switch (op.rule) {
    case RowRule::row_by_row:
      for (int i = 0; i < op.n_sources; ++i) rows.push_back(call.reads[i].at(t));
      return rows;
    case RowRule::gathered:
      return {call.reads[0].at(call.plan.logit_rows[t])};
    case RowRule::appended: {
      const Row slot = call.writes[output].at(t);
      return {call.reads[slot.space == RowSpace::k ? 0 : 1].at(appended_token(call.plan, slot.row))};
    }
    case RowRule::rotated:
      return {{RowSpace::k, call.layer, call.writes[output].at(t).row}};
    case RowRule::attended:
      return attended(call, output == 1, t);
    case RowRule::weighed:
      return weighed(call, t);
    case RowRule::sealed: {
      const Row slot = call.writes[output].at(t);
      const int64_t block_len = call.plan.block_len, first = slot.row / block_len * block_len;
      for (int64_t i = 0; i < block_len; ++i) rows.push_back({RowSpace::k, call.layer, first + i});
      return rows;
    }
    case RowRule::copied:
      return {copied_from(call, output, t)};
    case RowRule::none:
      return {};
  }
  return {};
}

}  // namespace

std::vector<Row> rows_read(const OpTraits& op, const CallRows& call, size_t output, int64_t t) {
  std::vector<Row> rows = unsorted_rows(op, call, output, t);
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

}  // namespace lastrow
