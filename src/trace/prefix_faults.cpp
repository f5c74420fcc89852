#include "trace/prefix_faults.h"

#include <algorithm>

#include "trace/plan_edits.h"

namespace lastrow {
namespace {

int32_t block_of(const StepPlan& plan, int64_t slot) { return static_cast<int32_t>(slot / plan.block_len); }
size_t place_of(const StepPlan& plan, int64_t slot) { return static_cast<size_t>(slot % plan.block_len); }

/// Rows are appended in order. So behind a new row there are only rows of an earlier text.
void put(std::vector<int32_t>& block, size_t place, int32_t token) {
  block[place] = token;
  std::fill(block.begin() + static_cast<std::ptrdiff_t>(place) + 1, block.end(), -1);
}

bool is_full(const std::vector<int32_t>& block) { return block.back() >= 0; }

}  // namespace

std::vector<int32_t> BlockAloneKey::tokens_after(const StepPlan& plan, int32_t block) const {
  Tokens tokens = tokens_[block];
  for (int32_t t = 0; t < plan.n_tokens(); ++t)
    if (const int64_t slot = plan.append_slots[t]; block_of(plan, slot) == block)
      put(tokens, place_of(plan, slot), plan.tokens[t]);
  return tokens;
}

void BlockAloneKey::read_first_of_equal_blocks(StepPlan& plan, int32_t i) const {
  int32_t* blocks = plan.block_tables.data() + int64_t{i} * plan.blocks_per_seq;
  const int32_t n_shareable = std::max(plan.kv_len[i] - 1, 0) / plan.block_len;
  for (int32_t b = 0; b < n_shareable; ++b) {
    const auto first = first_of_.find(tokens_after(plan, blocks[b]));
    if (first == first_of_.end()) continue;
    const bool written_now = std::ranges::any_of(
        plan.append_slots, [&](int64_t slot) { return block_of(plan, slot) == first->second; });
    if (!written_now) blocks[b] = first->second;
  }
}

void BlockAloneKey::forget(int32_t block) {
  const auto first = first_of_.find(tokens_[block]);
  if (first != first_of_.end() && first->second == block) first_of_.erase(first);
}

/// Keeps what this step stores.
void BlockAloneKey::learn(const StepPlan& plan) {
  for (const auto& [from, to] : plan.block_copies) {
    forget(to);
    tokens_[to] = tokens_[from];
  }
  for (int32_t t = 0; t < plan.n_tokens(); ++t) {
    const int64_t slot = plan.append_slots[t];
    const int32_t block = block_of(plan, slot);
    forget(block);
    put(tokens_[block], place_of(plan, slot), plan.tokens[t]);
    if (is_full(tokens_[block])) first_of_.try_emplace(tokens_[block], block);
  }
}

const Batch& BlockAloneKey::begin_step(const StepPlan& plan, KvStorage& storage) {
  if (storage_ != &storage) {
    const CacheSpec& spec = storage.spec();
    tokens_.assign(static_cast<size_t>(spec.n_blocks), Tokens(static_cast<size_t>(spec.block_len), -1));
    first_of_.clear();
    storage_ = &storage;
  }
  plan_ = plan;
  for (int32_t i = 0; i < plan.n_seqs(); ++i) read_first_of_equal_blocks(plan_, i);
  const Batch& batch = inner().begin_step(plan_, storage);
  learn(plan);
  return batch;
}

bool UnreadPrefix::follows_prefix(const StepPlan& plan, int32_t i) const {
  const int32_t past = past_of(plan, i);
  if (past == 0 || past % plan.block_len != 0) return false;
  const auto last = last_.find(plan.sequences[i]);
  if (last == last_.end()) return true;
  if (past == last->second.past) return last->second.follows_prefix;  // the same step again
  return past != last->second.kv_len;
}

const Batch& UnreadPrefix::begin_step(const StepPlan& plan, KvStorage& storage) {
  plan_ = plan;
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    const int32_t past = past_of(plan, i);
    const bool hides = follows_prefix(plan, i);
    last_[plan.sequences[i]] = {past, plan.kv_len[i], hides};
    if (!hides) continue;
    plan_.kv_len[i] = plan.q_len(i);
    int32_t* blocks = plan_.block_tables.data() + int64_t{i} * plan.blocks_per_seq;
    std::fill(std::shift_left(blocks, blocks + plan.blocks_per_seq, past / plan.block_len),
              blocks + plan.blocks_per_seq, -1);
  }
  return inner().begin_step(plan_, storage);
}

}  // namespace lastrow
