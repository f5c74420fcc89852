#include "trace/dependence.h"

#include <algorithm>
#include <set>

#include "trace/slots.h"

namespace lastrow {
namespace {

// The packed sequence that token t belongs to.
int32_t sequence_of(const StepPlan& plan, int64_t t) {
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    if (t >= plan.q_start[i] && t < plan.q_start[i + 1]) return i;
  throw UsageError("row {} of a step of {} tokens", t, plan.n_tokens());
}

// Row t of the operand that `span` describes.
Row at(const RowSpan& span, int64_t t) { return {span.space, span.id, span.first + t}; }

// out[t], lse[t] ← q[t], and K (out: V too) at the indices that t sees.
std::vector<Row> attend_reads(const Event& event, const StepPlan& plan, bool is_lse, int64_t t) {
  std::vector<Row> reads{at(event.reads[0], t)};
  const int32_t i = sequence_of(plan, t);
  const KeyRange keys =
      visible_keys(event.mask, plan.q_len(i), plan.kv_len[i], static_cast<int32_t>(t) - plan.q_start[i]);
  for (int64_t slot : slots_of(plan, i, keys.begin, keys.end)) {
    reads.push_back({RowSpace::k, event.layer, slot});
    if (!is_lse) reads.push_back({RowSpace::v, event.layer, slot});
  }
  return reads;
}

// The token whose append went to this slot; of two that did, the later.
int64_t appended_token(const StepPlan& plan, int64_t slot) {
  for (int64_t t = plan.n_tokens() - 1; t >= 0; --t)
    if (plan.append_slots[t] == slot) return t;
  throw UsageError("no token of the step was appended at slot {}", slot);
}

// Reads and writes of a block copy stand in the same order, slot by slot: (copy, layer, kind).
Row copied_from(const Event& event, const Row& written) {
  int64_t nth = -1, n = 0;
  for (const RowSpan& w : event.writes) {
    if (w.contains(written.space, written.id, written.row)) nth = n + written.row - w.first;
    n += w.count;
  }
  for (const RowSpan& r : event.reads) {
    if (nth < r.count) return at(r, nth);
    nth -= r.count;
  }
  throw UsageError("a block copy that writes more rows than it reads");
}

std::vector<Row> reads_of_row(const Event& event, const StepPlan& plan, size_t operand, const Row& written) {
  const int64_t t = written.row - event.writes[operand].first;  // row of the operand
  switch (event.op) {
    case Op::embed:
    case Op::rms_norm:
    case Op::linear:
    case Op::rope:
    case Op::argmax:
      return {at(event.reads[0], t)};
    case Op::swiglu:
    case Op::add:
      return {at(event.reads[0], t), at(event.reads[1], t)};
    case Op::append: {
      const size_t source = written.space == RowSpace::k ? 0 : 1;
      return {at(event.reads[source], appended_token(plan, written.row))};
    }
    case Op::attend:
      return attend_reads(event, plan, operand == 1, t);
    case Op::gather_rows:
      return {at(event.reads[0], plan.logit_rows[t])};
    case Op::copy_blocks:
      return {copied_from(event, written)};
    case Op::write_rows:
      return {};
  }
  return {};
}

std::vector<Row> sorted(std::vector<Row> rows) {
  std::ranges::sort(rows);
  rows.erase(std::ranges::unique(rows).begin(), rows.end());
  return rows;
}

}  // namespace

std::vector<Row> rows_read(const Event& event, const StepPlan& plan, const Row& written) {
  for (size_t i = 0; i < event.writes.size(); ++i)
    if (event.writes[i].contains(written.space, written.id, written.row))
      return sorted(reads_of_row(event, plan, i, written));
  throw UsageError("{} of layer {} does not write row {}", event.name, event.layer, written.row);
}

std::vector<RowDependence> row_dependence(const Event& event, const StepPlan& plan) {
  std::vector<RowDependence> all;
  for (size_t i = 0; i < event.writes.size(); ++i)
    for (int64_t t = 0; t < event.writes[i].count; ++t) {
      const Row written = at(event.writes[i], t);
      all.push_back({written, sorted(reads_of_row(event, plan, i, written))});
    }
  return all;
}

Lineage::Lineage(const Recorder& recorder) : recorder_(recorder) {
  for (int32_t step : recorder.steps()) {
    const std::span<const Event> events = recorder.events(step);
    for (size_t e = 0; e < events.size(); ++e)
      for (const RowSpan& w : events[e].writes)
        writes_[{w.space, w.id}].push_back({step, static_cast<int32_t>(e), w.first, w.count});
  }
}

WrittenRow Lineage::writer(const Row& row, int32_t step, int32_t event) const {
  if (row.space == RowSpace::token) return {step, -1, row};
  const auto it = writes_.find({row.space, row.id});
  if (it == writes_.end()) return {-1, -1, row};
  const std::vector<Write>& writes = it->second;
  auto w = std::ranges::lower_bound(writes, std::pair{step, event}, {}, [](const Write& x) {
    return std::pair{x.step, x.event};
  });
  while (w != writes.begin()) {
    --w;
    if (row.row >= w->first && row.row < w->first + w->count) return {w->step, w->event, row};
  }
  return {-1, -1, row};
}

std::vector<WrittenRow> Lineage::ancestors(const WrittenRow& row) const {
  std::set<WrittenRow> found{row};
  std::vector<WrittenRow> open{row};
  while (!open.empty()) {
    const WrittenRow current = open.back();
    open.pop_back();
    if (current.event < 0) continue;
    const Event& event = recorder_.events(current.step)[static_cast<size_t>(current.event)];
    for (const Row& read : rows_read(event, recorder_.plan(current.step), current.row)) {
      const WrittenRow source = writer(read, current.step, current.event);
      if (found.insert(source).second) open.push_back(source);
    }
  }
  return {found.begin(), found.end()};
}

int32_t Lineage::find(int32_t step, int32_t layer, std::string_view name) const {
  const std::span<const Event> events = recorder_.events(step);
  for (size_t e = 0; e < events.size(); ++e)
    if (events[e].layer == layer && events[e].name == name) return static_cast<int32_t>(e);
  return -1;
}

}  // namespace lastrow
