// The steps of a PagedCache: which blocks a step takes, and which it copies first.
#include "cache/paged_cache.h"
#include "cache/step_inputs.h"
#include "core/error.h"

namespace lastrow {

/// The next block that the plan takes, or −1 if none is left. The pool does not change before commit().
int32_t PagedCache::choose_block() {
  const auto n_chosen = static_cast<int32_t>(chosen_.size());
  int32_t block = -1;
  if (n_chosen < pool_.n_free()) {
    block = pool_.free_block(n_chosen);
  } else if (next_cached_ != PrefixIndex::kNone) {
    block = next_cached_;
    next_cached_ = prefixes_->next_idle(block);
  }
  chosen_.push_back(block);
  return block;
}

/// Whether the sequence of an input may write to its last block, although others hold it too. Usually it gets
/// a copy. But if all holders write in this step, one of them keeps the block, because all copies are made
/// before any write. The one with the most rows keeps it: then it overwrites no row of the others, and the
/// step can be aborted.
bool PagedCache::keeps_shared_block(std::span<const SequenceInput> inputs, const SequenceInput& input) const {
  const int32_t length = lengths_[input.sequence], place = length / spec_.block_len;
  const int32_t block = table(input.sequence)[place];
  int32_t n_writers = 0;
  for (const SequenceInput& other : inputs) {
    const int32_t other_length = lengths_[other.sequence];
    if (other.tokens.empty() || other_length / spec_.block_len != place) continue;
    if (table(other.sequence)[place] != block) continue;
    if (other_length > length || (other_length == length && &other < &input)) return false;
    ++n_writers;
  }
  return n_writers == pool_.holders(block);
}

/// Appends to the plan the block table that the sequence will have after the step.
void PagedCache::lay_out_table(std::span<const SequenceInput> inputs, const SequenceInput& input) {
  const int32_t* blocks = table(input.sequence);
  plan_.block_tables.insert(plan_.block_tables.end(), blocks, blocks + spec_.max_blocks_per_seq());
  if (input.tokens.empty()) return;
  int32_t* planned = plan_.block_tables.data() + plan_.block_tables.size() - spec_.max_blocks_per_seq();
  const int32_t length = lengths_[input.sequence], n_blocks = blocks_for(length);
  const int32_t new_length = length + static_cast<int32_t>(input.tokens.size());
  if (length % spec_.block_len != 0) {  // it writes to its last block
    const int32_t last = blocks[n_blocks - 1];
    if (pool_.holders(last) > 1 && !keeps_shared_block(inputs, input)) {
      planned[n_blocks - 1] = choose_block();
      plan_.block_copies.push_back({last, planned[n_blocks - 1]});
    }
  }
  for (int32_t i = n_blocks; i < blocks_for(new_length); ++i) planned[i] = choose_block();
}

void PagedCache::require_enough_blocks() const {
  const auto needed = static_cast<int32_t>(chosen_.size());
  if (needed <= pool_.n_free() + n_cached()) return;
  throw CapacityError(
      "this step needs {} more blocks of {} rows, but of {} blocks {} are in use, {} free and {} cached: end "
      "a sequence, feed fewer tokens, or make the cache with at least blocks={}",
      needed, spec_.block_len, spec_.n_blocks, pool_.n_used(), pool_.n_free(), n_cached(),
      pool_.n_used() + int64_t{needed});
}

const StepPlan& PagedCache::plan(std::span<const SequenceInput> inputs) {
  LASTROW_CHECK(!planned_, "plan() again before commit() or abort()");
  require_valid(inputs, *this);
  for (const SequenceInput& input : inputs)
    if (seals_blocks() && static_cast<int64_t>(input.tokens.size()) > spec_.longest_step)
      throw CapacityError(
          "a step of {} tokens of a sequence, but the cache has open blocks for steps of {}: feed {} at "
          "most, or raise CacheSizes::longest_step",
          input.tokens.size(), spec_.longest_step, spec_.longest_step);
  begin_packing(plan_, spec_);
  chosen_.clear();
  next_cached_ = prefixes_ ? prefixes_->oldest_idle() : PrefixIndex::kNone;
  for (const SequenceInput& input : inputs) {
    lay_out_table(inputs, input);
    pack(plan_, input, lengths_[input.sequence]);
  }
  require_enough_blocks();
  if (seals_blocks()) lay_out_open_blocks();
  planned_ = true;
  return plan_;
}

/// Says for every sequence of the cache where the rows of its open blocks are during the step.
void PagedCache::lay_out_open_blocks() {
  const Sealing sealing = spec_.sealing();
  plan_.open_blocks.assign(static_cast<size_t>(spec_.n_blocks), -1);
  const auto mark = [&](int32_t sequence, const int32_t* blocks, int32_t length) {
    for (int32_t place = sealing.n_sealed(lengths_[sequence]); place < blocks_for(length); ++place)
      plan_.open_blocks[blocks[place]] = sealing.open_block(sequence, place);
  };
  for (int32_t sequence = 0; sequence < n_seqs(); ++sequence)
    mark(sequence, table(sequence), lengths_[sequence]);
  for (int32_t i = 0; i < plan_.n_seqs(); ++i) {
    const int32_t sequence = plan_.sequences[i];
    const int32_t* blocks = plan_.block_tables.data() + int64_t{i} * plan_.blocks_per_seq;
    mark(sequence, blocks, plan_.kv_len[i]);
    for (int32_t place = sealing.n_sealed(lengths_[sequence]); place < sealing.n_sealed(plan_.kv_len[i]);
         ++place)
      plan_.seals.push_back(blocks[place]);
  }
  for (const int64_t slot : plan_.append_slots)
    plan_.open_slots.push_back(int64_t{plan_.open_blocks[slot / spec_.block_len]} * spec_.block_len +
                               slot % spec_.block_len);
}

/// Takes the blocks of the plan from the pool, and from the cached blocks when the pool has no more.
void PagedCache::take_chosen_blocks() {
  for (const int32_t block : chosen_) {
    if (pool_.n_free() == 0) evict(block);
    const int32_t taken = pool_.take();
    LASTROW_CHECK(taken == block, "the plan chose block {}, but the pool gave {}", block, taken);
  }
}

/// Gives the sequence of input i the table that was planned for it. A block that it copied has one holder
/// fewer.
void PagedCache::hold_planned_blocks(int32_t i) {
  const int32_t sequence = plan_.sequences[i], new_length = plan_.kv_len[i];
  const int32_t* planned = plan_.block_tables.data() + int64_t{i} * plan_.blocks_per_seq;
  int32_t* blocks = table(sequence);
  for (int32_t place = lengths_[sequence] / spec_.block_len; place < blocks_for(new_length); ++place) {
    if (blocks[place] == planned[place]) continue;
    if (blocks[place] >= 0) pool_.drop(blocks[place]);  // others still hold it
    blocks[place] = planned[place];
  }
  lengths_[sequence] = new_length;
}

void PagedCache::commit(const StepPlan& plan) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "commit() of a plan that is not the current one");
  take_chosen_blocks();
  if (prefixes_) note_writes();
  for (int32_t i = 0; i < plan.n_seqs(); ++i) hold_planned_blocks(i);
  if (prefixes_)
    for (const int32_t sequence : plan.sequences) share_full_blocks(sequence);
  planned_ = false;
}

void PagedCache::abort(const StepPlan& plan) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "abort() of a plan that is not the current one");
  planned_ = false;
  if (!prefixes_) return;  // only commit takes blocks and changes lengths, so there is nothing to undo
  take_chosen_blocks();
  note_writes();
  // The last block first, so that the next plan of the same step chooses the same blocks.
  for (auto block = chosen_.rbegin(); block != chosen_.rend(); ++block) {
    pool_.drop(*block);
    pool_.give_back(*block);
  }
}

}  // namespace lastrow
