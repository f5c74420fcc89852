#include "trace/dependence.h"

#include <algorithm>
#include <set>

#include "ops/row_rule.h"

namespace lastrow {
namespace {

std::vector<Row> rows_of_write(const Event& event, const StepPlan& plan, size_t write, int64_t t) {
  return rows_read(traits(event.op),
                   {event.reads, event.writes, plan.of_layer(event.layer), event.layer, event.mask}, write,
                   t);
}

}  // namespace

std::vector<Row> rows_read(const Event& event, const StepPlan& plan, const Row& written) {
  for (size_t i = 0; i < event.writes.size(); ++i)
    if (event.writes[i].contains(written))
      return rows_of_write(event, plan, i, written.row - event.writes[i].first);
  throw UsageError("{} of layer {} does not write row {}", event.name, event.layer, written.row);
}

std::vector<RowDependence> row_dependence(const Event& event, const StepPlan& plan) {
  std::vector<RowDependence> all;
  for (size_t i = 0; i < event.writes.size(); ++i)
    for (int64_t t = 0; t < event.writes[i].count; ++t)
      all.push_back({event.writes[i].at(t), rows_of_write(event, plan, i, t)});
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
  auto w = std::lower_bound(writes.begin(), writes.end(), std::pair{step, event},
                            [](const Write& a, const std::pair<int32_t, int32_t>& at) {
                              return std::pair{a.step, a.event} < at;
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
