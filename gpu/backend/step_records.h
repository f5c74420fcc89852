// The steps that a device has recorded, so that later steps of the same sizes are one launch, not hundreds.
//
//   records.forget_users_of(memory.take_oldest_freed());      what lost its memory
//   if (KeptStep* known = records.find(key)) …              unknown: run it, then
//   records.add({.key = key, .number = memory.n_allocations()});
//
// StepKey is all that a step's launches depend on besides where its tensors lie: which operations (the
// caller's key), the sizes of the plan, the storage, and the bounds from which grids and splits are made.
// Where tensors lie stays true as long as none that was there at the recording is freed.
//
// Invariant: at most kMost records, those used last; none uses memory that had been freed when
// forget_users_of was last called.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "gpu/backend/runtime.h"

namespace lastrow::LASTROW_TARGET {

struct StepKey {
  int64_t ops = 0;  // the caller's
  const void* storage = nullptr;
  int32_t n_tokens = 0, n_seqs = 0, n_logit_rows = 0;
  int32_t blocks_per_seq = 0, block_len = 0;
  int32_t max_q_len = 0, max_kv_len = 0;  // bounds: AttendShape

  bool operator==(const StepKey&) const = default;
};

struct KeptStep {
  StepKey key;
  int64_t number = 0;                      // of the first allocation that came later
  std::unique_ptr<Recording> recording{};  // null: has run once, directly
  std::string attend_kernel{};             // of its attends
};

class StepRecords {
 public:
  /// Generously one for each bound that a growing context passes, which doubles each time (step_bounds.h).
  static constexpr size_t kMost = 16;

  /// Null if unknown. Counts as a use. Until the next call of add or forget_users_of.
  KeptStep* find(const StepKey& key) {
    for (auto it = kept_.begin(); it != kept_.end(); ++it)
      if (it->key == key) {
        kept_.splice(kept_.begin(), kept_, it);
        return &kept_.front();
      }
    return nullptr;
  }
  /// Forgets the one that has not been used for longest where there are too many.
  void add(KeptStep step) {
    kept_.push_front(std::move(step));
    if (kept_.size() > kMost) kept_.pop_back();
  }
  /// Those recorded after the allocation with this number, or one with a higher number, was made.
  void forget_users_of(int64_t number) {
    kept_.remove_if([number](const KeptStep& kept) { return kept.number > number; });
  }
  size_t size() const { return kept_.size(); }

 private:
  std::list<KeptStep> kept_;  // last used first
};

}  // namespace lastrow::LASTROW_TARGET
