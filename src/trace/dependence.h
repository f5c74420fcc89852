// Which rows a row came from: one rule for each operation, and the ancestors that follow from them.
//
//   row_dependence(event, plan)                 each written row with the rows it reads
//   Lineage lineage(recorder);                  all recorded events
//   lineage.ancestors({step, event, row})       everything that row depends on, back to the tokens
//
// The rule that an operation follows stands with it (ops/row_rule.h).
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

/// What one written row of an event reads. Throws UsageError if the event does not write that row.
std::vector<Row> rows_read(const Event& event, const StepPlan& plan, const Row& written);
/// The same for every written row, in the order of event.writes.
std::vector<RowDependence> row_dependence(const Event& event, const StepPlan& plan);

/// A row as one event wrote it. event −1: it was there before the record began, or it is a token.
struct WrittenRow {
  int32_t step;
  int32_t event;  // index in recorder.events(step)
  Row row;
  auto operator<=>(const WrittenRow&) const = default;
};

/// The graph of a recorder's events. Valid as long as the recorder does not change.
class Lineage {
 public:
  explicit Lineage(const Recorder& recorder);

  /// The last event before (step, event) that wrote `row`.
  WrittenRow writer(const Row& row, int32_t step, int32_t event) const;
  /// What the row depends on, itself included, ascending in time; each (event, row) once.
  std::vector<WrittenRow> ancestors(const WrittenRow& row) const;
  /// The event of a step at a site; −1 if there is none.
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
