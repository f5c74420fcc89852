// Faults of shared prefixes: a sequence reads another text's rows, or does not read the rows that it shares.
// named_faults.h gives each of them a name.
#pragma once

#include <map>
#include <vector>

#include "trace/forwarding.h"

namespace lastrow {

/// Blocks with equal tokens count as the same block, even if different tokens come before them. Where a table
/// should list a later one of them, it lists the first one. A row depends on all tokens before it, from layer 1 on, so
/// the sequence reads rows that belong to another text.
/// Only full blocks count, and never the block of the sequence's last token.
class BlockAloneKey final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;
  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;

 private:
  using Tokens = std::vector<int32_t>;  // [block_len], −1 where the row is unknown or stale
  /// The tokens in a block after the appends of this step.
  Tokens tokens_after(const StepPlan& plan, int32_t block) const;
  void read_first_of_equal_blocks(StepPlan& plan, int32_t i) const;
  void learn(const StepPlan& plan);
  void forget(int32_t block);

  StepPlan plan_;
  const KvStorage* storage_ = nullptr;
  std::vector<Tokens> tokens_;          // [n_blocks]
  std::map<Tokens, int32_t> first_of_;  // full blocks: tokens → the first block with these tokens
};

/// A prefill that follows a shared prefix reads only the new rows of this step. Positions stay correct.
/// A step counts as such a prefill if its sequence holds only full blocks, and its number of rows is not the
/// number after its last step. So the first step after going back to the end of a block also counts.
class UnreadPrefix final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;
  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;

 private:
  struct LastStep {
    int32_t past = -1, kv_len = 0;
    bool follows_prefix = false;
  };
  bool follows_prefix(const StepPlan& plan, int32_t i) const;

  StepPlan plan_;
  std::map<int32_t, LastStep> last_;  // of each sequence
};

}  // namespace lastrow
