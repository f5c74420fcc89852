// Faults that count rows which the sequence does not hold. Attention then reads slots that nothing wrote, or
// that another text wrote. named_faults.h gives each of them a name.
//
// A real program often sets its cache to 0 at the start. So do these faults: a row that a fault reads, and
// that nothing ever wrote, is 0 and not NaN.
#pragma once

#include "trace/forwarding.h"

namespace lastrow {

/// After a reset, the length of the previous conversation still counts. For one sequence.
class StaleRows final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;
  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;

 private:
  StepPlan plan_;
  const KvStorage* storage_ = nullptr;  // the storage of the last step
  int32_t held_ = 0;                    // rows of the previous conversation
};

/// From layer 1 on, operations get a batch whose kv_len counts the new rows of this step twice. For one
/// sequence.
class EarlyLength final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;
  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;
  void run(const Op& op) override;

 private:
  const Batch& seen_batch(Site site, const Batch& batch);

  StepPlan plan_;
  KvStorage* storage_ = nullptr;
  const Batch* late_ = nullptr;  // of this step, from layer 1 on
};

/// A step of one token reads all rows of the sequence's blocks, also those behind its last row. A step of
/// several tokens is correct, because its causal mask hides them.
/// The blocks of a contiguous cache hold max_seq_len rows, so there it reads the whole capacity.
class UnmaskedTail final : public WatchingBackend {
 public:
  /// What the rows behind the last row hold: zeros, or what an earlier text left there.
  enum class Tail : uint8_t { zeros, stale };
  UnmaskedTail(Backend& inner, Tail tail) : WatchingBackend(inner), tail_(tail) {}
  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;

 private:
  StepPlan plan_;
  const KvStorage* storage_ = nullptr;
  Tail tail_;
};

}  // namespace lastrow
