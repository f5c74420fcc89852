// One forward of a planned step, for every kind of session.
#pragma once

#include <atomic>
#include <span>

#include "cache/kv_cache.h"
#include "model/decoder.h"

namespace lastrow {

/// What a session runs its steps with.
struct ForwardStep {
  Backend& backend;  // the outermost decorator
  const Decoder& decoder;
  Workspace& workspace;
  const std::atomic<bool>* stop;

  /// Runs the model on the step and downloads the logits [n_logit_rows, vocab_size]. A step in which each
  /// sequence feeds one token may be a replay; the sizes of other steps rarely repeat, so they are not
  /// recorded.
  void run(const StepPlan& plan, KvStorage& storage, bool may_replay, std::span<float> logits) const;
  /// If the plan wants the masses: downloads those that run() computed, sums them over the layers, and gives
  /// them to the cache. Call it after run() and before commit. The workspace must have room (make_mass).
  void add_mass(const StepPlan& plan, KvCache& cache) const;
};

}  // namespace lastrow
