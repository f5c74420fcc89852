// The two sessions, with a cache and without. Brings both to the step and pokes that the user wants, and
// copies the data that the viewer shows. Use it from one thread only.
//
//   Sessions sessions(progress);
//   Outcome o = sessions.reach(goal);   opens new sessions if model, prompt or backend differ; then steps
//   if (o.snapshot) …                   the whole picture; otherwise o.error says why there is none
//
// The same goal always gives the same snapshot, whatever ran before. A poke of `now` belongs to its step and
// is left out at any other step. Tokens are chosen without pokes, so a poke never changes the text.
// progress.stop can be set from any thread: then reach() ends within milliseconds, with Outcome::cancelled.
//
// Memory. bytes() is at most
//   two steps, each of kWholeStepBytes, or of kStepRowsBytes and one layer if it is larger    with pokes
//   one such step                                                                             without
//   and Generation::kRememberedBytes
// Snapshots share this memory. While a step is made, one more step exists. With a built-in model and a full
// context, bytes() stays below kBuiltinBytes, and the process needs less than 120 MB more than with an empty
// window. Going back to a short text frees the memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/run/generation.h"
#include "viewer/view_model/run/goal.h"
#include "viewer/view_model/run/progress.h"

namespace lastrow::view {

struct Outcome {
  Goal goal;                         // with the step that was reached and the active pokes
  std::optional<Snapshot> snapshot;  // none: nothing has changed
  std::string error;                 // one line; with a snapshot: why it went no further ("context full …")
  bool cancelled = false;
};

class Sessions {
 public:
  static constexpr int64_t kBuiltinBytes = int64_t{64} << 20;

  explicit Sessions(Progress& progress, StepLimits limits = {}) : progress_(progress), limits_(limits) {}
  Outcome reach(Goal goal);
  /// What is held of steps; the sessions' own weights and caches are not counted.
  int64_t bytes() const;

 private:
  using Data = std::shared_ptr<const StepData>;
  void open(const Goal& goal);
  std::shared_ptr<const Setup> make_setup(const Goal& goal, std::shared_ptr<const Model> model,
                                          Generation& generation, Data& prefill) const;
  Data full_step(Goal& goal, const std::vector<Poke>& pokes);
  Data large_step(Goal& goal, const std::vector<Poke>& pokes);
  Data step_before(const Goal& goal);
  Snapshot snapshot_at(Goal& goal);  // gives goal.focus a head

  Progress& progress_;
  StepLimits limits_;
  std::shared_ptr<const Setup> setup_;
  std::unique_ptr<Generation> generation_;
  Data plain_, poked_;  // the current step without pokes; and with pokes, if it is too large to run again
  std::shared_ptr<const MachineRoof> roof_;  // null until a goal has asked for it
};

}  // namespace lastrow::view
