// One generation on one backend, with a cache and without: runs its steps and copies what pictures need.
//
//   Generation g(goal, model, progress);                model is loaded; nothing has run yet
//   g.run(step, pokes, layer);                          afterwards both sides are at the step, with the pokes
//   auto data = g.take();                               what was kept of it; once after each run
//   g.rows_of(step)                                     the rows of a step without pokes, to compare with
//
// Never run to a new step with pokes: new tokens are chosen without pokes, so run to it without pokes first.
// A run that throws changes nothing but the rows that are remembered for rows_of.
//
// Memory: the sessions keep no activations. Rows of earlier steps are remembered up to kRememberedBytes.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "session/twin.h"
#include "viewer/view_model/run/cost_log.h"
#include "viewer/view_model/run/goal.h"
#include "viewer/view_model/run/head_probe.h"
#include "viewer/view_model/run/progress.h"
#include "viewer/view_model/run/step_watch.h"

namespace lastrow::view {

/// How much of a step is kept: step_data.h. Tests use smaller limits, because large steps take minutes.
struct StepLimits {
  int64_t whole = kWholeStepBytes, rows = kStepRowsBytes;
};

class Generation {
 public:
  static constexpr int64_t kRememberedBytes = int64_t{16} << 20;

  /// Throws what the tokenizer and the sessions throw.
  Generation(const Goal& goal, std::shared_ptr<const Model> model, Progress& progress,
             StepLimits limits = {});

  const TwinSession& twin() const { return *twin_; }
  int last_step() const { return twin_->current_step() < 0 ? -1 : twin_->cached().last_step(); }
  /// Whether the step is small enough to be kept whole.
  bool whole(int step) const { return size_of_step(step).whole <= limits_.whole; }

  /// All of a whole step; of a larger one, what step_data.h says, with the rows of `layer`.
  void run(int step, const std::vector<Poke>& pokes, int layer);
  std::shared_ptr<StepData> take();
  /// To choose colours from: the step that was just taken, with samples of the layers whose rows are not kept.
  std::shared_ptr<const StepData> with_samples(const StepData& data) const;
  /// Only of a whole step.
  std::shared_ptr<const StepData> rows_of(int step);
  std::shared_ptr<const StepData> rows_of(int step, const std::vector<Poke>& pokes);
  void remember(const StepData& data);

  /// The same step with the rows of another window or head. Null if the layer's rows are not held.
  std::shared_ptr<StepData> with_focus(const StepData& data, const Focus& focus);

  /// The time of both sides: the median of several runs without recording. False if this is not measured.
  bool measure(StepData& data);

  /// What every step so far has cost, without pokes.
  const CostLog& costs() const { return costs_; }
  /// What the attends of steps 0 … step read.
  std::array<std::vector<StepReads>, 2> reads(int step) const;
  /// What the cache forgot in steps 0 … step, without pokes, in the layers that forget.
  std::vector<std::vector<EvictedRow>> evicted(int step) const;
  int64_t remembered_bytes() const;

 private:
  using Keep = StepWatch::Keep;
  StepSize size_of_step(int step) const {
    const DecodeSession& cached = twin_->cached();
    return step_size(cached.model().config(), cached.prompt_len() - cached.n_prefill_steps() + 1 + step,
                     step == 0);
  }
  Keep all_of(int step, int layer) const;
  void keep(Keep what);
  void run_to(int step, Keep what);
  void run_under(int step, const std::vector<Poke>& pokes, Keep what);
  void note_reads();
  void advance_timing();
  void see(size_t side, Backend& backend, const Attend& op);

  Progress& progress_;
  double done_ = 0, part_ = 1;  // fractions of a run: the steps that are done, and the step that runs
  StepLimits limits_;
  std::string backend_;
  std::array<StepWatch, 2> watches_;  // [Mode]; the sessions call them
  std::unique_ptr<TwinSession> twin_;
  std::unique_ptr<TwinSession> timing_;  // the same generation without recording; null for large models
  std::unique_ptr<HeadProbe> head_probe_;
  std::map<int, std::shared_ptr<const StepData>> rows_;  // of earlier steps, without pokes
  std::map<int, std::array<double, 2>> times_us_;        // [Mode], measured
  std::array<std::vector<StepReads>, 2> reads_;          // [Mode][step]
  std::vector<std::vector<EvictedRow>> evicted_;         // [step]
  CostLog costs_;
};

}  // namespace lastrow::view
