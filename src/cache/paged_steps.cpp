// The steps of a PagedCache: which blocks a step takes, and which it copies first.
#include <algorithm>

#include "cache/paged_cache.h"
#include "cache/step_inputs.h"
#include "core/error.h"

namespace lastrow {

/// The next block that the plan takes, or −1 if none is left. The pool does not change before commit().
int32_t PagedCache::choose_block() {
  const auto n_chosen = static_cast<int32_t>(chosen_.size());
  chosen_.push_back(n_chosen < pool_.n_free() ? pool_.free_block(n_chosen) : -1);
  return chosen_.back();
}

/// Whether another sequence still needs this block as it is. If all its holders write in this step, the last
/// of them may do so in place: the others have copied it by then, because copies come before all writes.
bool PagedCache::must_copy(int32_t block) const {
  if (pool_.holders(block) == 1) return false;
  const auto copies = std::count_if(plan_.block_copies.begin(), plan_.block_copies.end(),
                                    [block](const BlockCopy& copy) { return copy.from_block == block; });
  return pool_.holders(block) - copies > 1;
}

/// Appends to the plan the block table that the sequence will have with new_length rows.
void PagedCache::lay_out_table(int32_t sequence, int32_t new_length) {
  const int32_t length = lengths_[sequence], n_blocks = blocks_for(length);
  const int32_t* blocks = table(sequence);
  plan_.block_tables.insert(plan_.block_tables.end(), blocks, blocks + spec_.max_blocks_per_seq());
  if (new_length == length) return;
  int32_t* planned = plan_.block_tables.data() + plan_.block_tables.size() - spec_.max_blocks_per_seq();
  const bool writes_last_block = length % spec_.block_len != 0;
  if (writes_last_block && must_copy(blocks[n_blocks - 1])) {
    planned[n_blocks - 1] = choose_block();
    plan_.block_copies.push_back({blocks[n_blocks - 1], planned[n_blocks - 1]});
  }
  for (int32_t i = n_blocks; i < blocks_for(new_length); ++i) planned[i] = choose_block();
}

void PagedCache::require_enough_blocks() const {
  const auto needed = static_cast<int32_t>(chosen_.size());
  if (needed <= pool_.n_free()) return;
  throw CapacityError(
      "this step needs {} more blocks of {} rows, but only {} of {} are free: end a sequence, feed fewer "
      "tokens, or make the cache with at least blocks={}",
      needed, spec_.block_len, pool_.n_free(), spec_.n_blocks, pool_.n_used() + int64_t{needed});
}

const StepPlan& PagedCache::plan(std::span<const SequenceInput> inputs) {
  LASTROW_CHECK(!planned_, "plan() again before commit() or abort()");
  require_valid(inputs, *this);
  begin_packing(plan_, spec_);
  chosen_.clear();
  for (const SequenceInput& input : inputs) {
    const int32_t length = lengths_[input.sequence];
    lay_out_table(input.sequence, length + static_cast<int32_t>(input.tokens.size()));
    pack(plan_, input, length);
  }
  require_enough_blocks();
  planned_ = true;
  return plan_;
}

/// Gives the sequence the table that was planned for it. The blocks that it copied have one holder less.
void PagedCache::hold_planned_blocks(int32_t sequence, int32_t new_length, const int32_t* planned) {
  int32_t* blocks = table(sequence);
  for (int32_t i = lengths_[sequence] / spec_.block_len; i < blocks_for(new_length); ++i) {
    if (blocks[i] == planned[i]) continue;
    if (blocks[i] >= 0) pool_.drop(blocks[i]);
    blocks[i] = planned[i];
  }
  lengths_[sequence] = new_length;
}

void PagedCache::commit(const StepPlan& plan) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "commit() of a plan that is not the current one");
  for (const int32_t block : chosen_) {
    const int32_t taken = pool_.take();
    LASTROW_CHECK(taken == block, "the plan chose block {}, but the pool gave {}", block, taken);
  }
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    hold_planned_blocks(plan.sequences[i], plan.kv_len[i],
                        plan.block_tables.data() + int64_t{i} * plan.blocks_per_seq);
  planned_ = false;
}

void PagedCache::abort(const StepPlan& plan) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "abort() of a plan that is not the current one");
  planned_ = false;  // only commit takes blocks and changes lengths, so there is nothing to undo
}

}  // namespace lastrow
