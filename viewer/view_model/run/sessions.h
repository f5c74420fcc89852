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
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "session/twin.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/run/cost_log.h"
#include "viewer/view_model/run/progress.h"

namespace lastrow::view {

struct Goal {
  std::string model, prompt, backend;
  int step = 0;
  std::vector<Poke> pokes;
  bool measure_machine = false;  // the snapshot needs the roofline of this machine
  bool operator==(const Goal&) const = default;
};

struct Outcome {
  Goal goal;                         // with the step that was reached and the pokes in force
  std::optional<Snapshot> snapshot;  // none: nothing has changed
  std::string error;                 // one line; with a snapshot: why it went no further ("context full …")
  bool cancelled = false;
};

class Sessions {
 public:
  explicit Sessions(Progress& progress) : progress_(progress) {}
  Outcome reach(Goal goal);

 private:
  std::shared_ptr<const StepData> plain_step(int step);
  std::shared_ptr<const StepData> poked_step(int step, const std::vector<Poke>& pokes);
  void open(const Goal& goal);
  Setup make_setup(const Goal& goal, std::shared_ptr<const Model> model);
  std::shared_ptr<TwinSession> start_twin(const Goal& goal, std::shared_ptr<const Model> model,
                                          const std::vector<int32_t>& prompt, bool record) const;
  void run_to(int step);
  void run_without_pokes(int step);
  void note_reads();
  void remember(std::shared_ptr<const StepData> data);
  std::shared_ptr<const StepData> timed(std::shared_ptr<const StepData> data);
  Snapshot snapshot_at(const Goal& goal);

  Progress& progress_;
  std::shared_ptr<TwinSession> twin_;    // records every tensor
  std::shared_ptr<TwinSession> timing_;  // the same generation without recording; null for large models
  std::shared_ptr<const Setup> setup_;
  std::map<int, std::shared_ptr<const StepData>> plain_;  // recent steps, without pokes
  std::array<std::vector<AttendRead>, 2> reads_;          // [Mode][step]
  CostLog costs_;
  std::shared_ptr<const MachineRoof> roof_;  // null until a goal has asked for it
};

}  // namespace lastrow::view
