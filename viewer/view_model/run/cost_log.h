// What every step has cost both sides, without pokes, from the prefill to the last step that ran.
//
//   log.note_work(twin, times_count);   after each new step of the sessions that record
//   log.note_time(twin);                after each step of the sessions without recording
//   log.note_median(step, {a, b});      if the step was timed several times
//   log.steps()                         [Mode][step]
//
// Call note_work in the order of the steps. Invariant: a better measurement of time is never replaced by a
// worse one, and times with recording are used only while there are no others.
#pragma once

#include <array>
#include <vector>

#include "session/twin.h"
#include "viewer/view_model/describe/cost_data.h"

namespace lastrow::view {

class CostLog {
 public:
  /// Notes the step that the sessions are at. times_count: there are no sessions for timing, so the times of
  /// this run, which include recording, are the only ones.
  void note_work(const TwinSession& twin, bool times_count);
  /// Keeps the fastest of all runs of the step.
  void note_time(const TwinSession& twin);
  /// True if a side took more than twice as long as in the step before: something may have disturbed it.
  bool looks_disturbed(int step) const;
  void note_median(int step, const std::array<double, 2>& wall_us);
  const std::array<std::vector<StepCost>, 2>& steps() const { return steps_; }

 private:
  void set_time(int step, size_t side, double wall_us, TimeKind kind);
  std::array<std::vector<StepCost>, 2> steps_;
};

}  // namespace lastrow::view
