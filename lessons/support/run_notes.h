// Two questions that the recorded operations of a run answer:
// which rows does a step need, and how often is a row read?
//
//   NeededRows needed(session, step);                    goes back from the last row of that step's logits
//   needed.of(2, site::kGateProj)                        how many rows of this operation the logits depend on
//   std::vector<RowReads> reads = count_reads(session.recorder(), layer, n_tokens);   reads[position]
//
// The session must have recorded the events of all its steps (RecordOptions::Keep::all). Both throw
// UsageError if the record contradicts the plan, as it does with some faults.
#pragma once

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "ops/site.h"
#include "session/session.h"
#include "trace/dependence.h"

namespace lastrow::lessons {

class NeededRows {
 public:
  NeededRows(const DecodeSession& session, int32_t step) : lineage_(session.recorder()), step_(step) {
    const int32_t head = lineage_.find(step, -1, site::kLmHead);
    const RowSpan& logits = session.recorder().events(step)[head].writes[0];
    const Row last{RowSpace::tensor, logits.id, logits.first + logits.count - 1};
    for (const WrittenRow& row : lineage_.ancestors({step, head, last}))
      if (row.step == step) rows_.insert({row.event, row.row.row});
  }
  /// Rows of one operation in that step. Rows kept from earlier steps do not count.
  int64_t of(int32_t layer, const char* name) const {
    const int32_t event = lineage_.find(step_, layer, name);
    return std::count_if(rows_.begin(), rows_.end(), [&](const auto& row) { return row.first == event; });
  }

 private:
  Lineage lineage_;
  int32_t step_;
  std::set<std::pair<int32_t, int64_t>> rows_;  // (event, row)
};

/// How many output rows of attention read this row.
struct RowReads {
  int64_t q = 0, k = 0, v = 0;
};

/// Of one layer, over all recorded steps of one contiguous sequence. Entry j is position j.
inline std::vector<RowReads> count_reads(const Recorder& recorder, int32_t layer, int64_t n_tokens) {
  std::vector<RowReads> reads(static_cast<size_t>(n_tokens));
  for (const int32_t step : recorder.steps()) {
    const StepPlan& plan = recorder.plan(step);
    for (const Event& event : recorder.events(step)) {
      if (event.op != kind_of<Attend> || event.layer != layer) continue;
      for (const RowDependence& row : row_dependence(event, plan)) {
        if (row.written.id != event.writes[0].id) continue;  // lse reads the same rows as out
        for (const Row& read : row.reads) {
          if (read.space == RowSpace::tensor) ++reads[plan.positions[read.row]].q;
          if (read.space == RowSpace::k) ++reads[read.row].k;
          if (read.space == RowSpace::v) ++reads[read.row].v;
        }
      }
    }
  }
  return reads;
}

}  // namespace lastrow::lessons
