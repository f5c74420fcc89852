// The steps that a device has recorded. A later step of the same sizes is then one launch, not hundreds.
//
//   records.forget_users_of(memory.take_oldest_freed());      drops records whose memory was freed
//   if (KeptStep* known = records.find(key)) …                if unknown: run the step, then
//   records.add({.key = key, .number = memory.n_allocations()});
//
// StepKey is all that a step's launches depend on, apart from where its tensors are: the operations (the
// caller's key), the sizes of the plan, the storage, and the bounds that grids and splits are made from. The
// tensors stay where they are as long as nothing is freed that existed at the recording.
//
// Invariant: it keeps at most kMost records, the most recently used. No record uses memory that had been
// freed when forget_users_of was last called.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "gpu/backend/runtime.h"

namespace lastrow::LASTROW_TARGET {

struct StepKey {
  int64_t ops = 0;                // the caller's
  const void* storage = nullptr;  // its first row; the types and sizes of K and V follow from it
  int32_t n_tokens = 0, n_seqs = 0, n_logit_rows = 0;
  int32_t blocks_per_seq = 0, block_len = 0, table_sinks = 0;
  bool has_first = false, has_positions = false;  // which of the plan's optional arrays there are
  bool has_new_positions = false;                 // keys are rotated in the step
  bool wants_mass = false;
  int32_t n_seals = 0;
  int32_t max_q_len = 0, max_kv_len = 0;  // bounds, as in AttendShape
  int32_t windowed_max_kv_len = 0;        // the same of layers with blocks of their own

  bool operator==(const StepKey&) const = default;
};

struct KeptStep {
  StepKey key;
  int64_t number = 0;                      // of the first allocation after it
  std::unique_ptr<Recording> recording{};  // null: the step has run once, without being recorded
  std::string attend_kernel{};             // the rung that attends
};

class StepRecords {
 public:
  /// More than enough for the bounds that a growing context passes: each is twice the last one
  /// (step_bounds.h).
  static constexpr size_t kMost = 16;

  /// Null if unknown. Counts as a use. The pointer is valid until the next call of add or forget_users_of.
  KeptStep* find(const StepKey& key) {
    for (auto it = kept_.begin(); it != kept_.end(); ++it)
      if (it->key == key) {
        kept_.splice(kept_.begin(), kept_, it);
        return &kept_.front();
      }
    return nullptr;
  }
  /// If there are too many records, drops the least recently used one.
  void add(KeptStep step) {
    kept_.push_front(std::move(step));
    if (kept_.size() > kMost) kept_.pop_back();
  }
  /// Drops the records that were made after the allocation with this number.
  void forget_users_of(int64_t number) {
    kept_.remove_if([number](const KeptStep& kept) { return kept.number > number; });
  }
  size_t size() const { return kept_.size(); }

 private:
  std::list<KeptStep> kept_;  // most recently used first
};

}  // namespace lastrow::LASTROW_TARGET
