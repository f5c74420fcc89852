// Which rows a row was computed from, and all its ancestors.
//
//   row_dependence(event, plan)                 each written row, with the rows that it was computed from
//   Lineage lineage(recorder);                  the graph of all recorded events
//   lineage.ancestors({step, event, row})       all rows that this row depends on, back to the tokens
//
// Do not use a Lineage after its recorder has changed. ops/row_rule.h has the rule of each operation.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/step_plan.h"
#include "trace/event.h"
#include "trace/recorder.h"

namespace lastrow {

struct RowDependence {
  Row written;
  std::vector<Row> reads;  // ascending, each once
};

/// The rows that `written` was computed from. Throws UsageError if the event does not write `written`.
std::vector<Row> rows_read(const Event& event, const StepPlan& plan, const Row& written);
/// The same for every written row, in the order of event.writes.
std::vector<RowDependence> row_dependence(const Event& event, const StepPlan& plan);

/// A row as one event wrote it. event is −1 if the row is a token or was written before the recording began.
struct WrittenRow {
  int32_t step;
  int32_t event;  // index in recorder.events(step)
  Row row;
  auto operator<=>(const WrittenRow&) const = default;
};

/// The graph of a recorder's events. Valid until the recorder changes.
class Lineage {
 public:
  explicit Lineage(const Recorder& recorder);

  /// The last event before (step, event) that wrote `row`.
  WrittenRow writer(const Row& row, int32_t step, int32_t event) const;
  /// All rows that this row depends on, and the row itself, ascending in time; each (event, row) once.
  std::vector<WrittenRow> ancestors(const WrittenRow& row) const;
  /// The index of the event at this layer and with this name; −1 if the step has none.
  int32_t find(int32_t step, int32_t layer, std::string_view name) const;

 private:
  struct Key {
    RowSpace space;
    int32_t id;
    auto operator<=>(const Key&) const = default;
  };
  struct Write {
    int32_t step, event;
    int64_t first, count;
  };
  const Recorder& recorder_;
  std::map<Key, std::vector<Write>> writes_;  // ascending in time
};

}  // namespace lastrow
