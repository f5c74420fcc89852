#include "backend/checks.h"

#include <algorithm>

#include "cache/slots.h"

namespace lastrow::checks {

void rows(const KvStorage& storage, int32_t layer, std::span<const int64_t> slots, ConstTensorView host) {
  require_layer({layer, "rows"}, storage);
  const CacheSpec& spec = storage.spec();
  require_shape("cache rows", host.shape(),
                {static_cast<int64_t>(slots.size()), spec.n_kv_heads, spec.head_dim});
  for (int64_t slot : slots)
    if (slot < 0 || slot >= spec.n_slots(layer))
      throw ShapeError("slot {} is outside a cache of {} slots: ask KvCache::slot", slot,
                       spec.n_slots(layer));
}

void copy_blocks(const KvStorage& storage, std::span<const BlockCopy> copies) {
  const int32_t n = storage.spec().n_blocks;
  for (const auto& [from, to] : copies)
    if (from < 0 || from >= n || to < 0 || to >= n || from == to)
      throw ShapeError("block copy {} → {} in a cache of {} blocks: give two different blocks of it", from,
                       to, n);
}

namespace {

/// The open blocks of a plan are those of the storage, and what it seals is open.
void require_open_blocks(const StepPlan& plan, const CacheSpec& spec) {
  const bool has_open = spec.n_open_blocks > 0;
  if (plan.open_blocks.size() != (has_open ? static_cast<size_t>(spec.n_blocks) : 0) ||
      plan.open_slots.size() != (has_open ? plan.tokens.size() : 0) || (!has_open && !plan.seals.empty()))
    throw ShapeError(
        "the plan and the storage do not agree whether K has open blocks: plan with the cache whose spec "
        "made the storage");
  const int64_t n_open_slots = int64_t{spec.n_open_blocks} * spec.block_len;
  for (const int32_t open : plan.open_blocks)
    if (open < -1 || open >= spec.n_open_blocks)
      throw ShapeError("open block {} of {}: use KvCache::plan", open, spec.n_open_blocks);
  for (const int64_t slot : plan.open_slots)
    if (slot < 0 || slot >= n_open_slots)
      throw ShapeError("open slot {} of {}: use KvCache::plan", slot, n_open_slots);
  for (const int32_t block : plan.seals)
    if (block < 0 || block >= spec.n_blocks || plan.open_blocks[static_cast<size_t>(block)] < 0)
      throw ShapeError("block {} is to be sealed, but it is not open: use KvCache::plan", block);
}

/// `spec`: of the layers that have this plan.
void plan_of_group(const StepPlan& plan, const CacheSpec& spec) {
  const size_t n_tokens = plan.tokens.size(), n_seqs = plan.kv_len.size();
  if (plan.positions.size() != n_tokens || plan.append_slots.size() != n_tokens ||
      plan.q_start.size() != n_seqs + 1 || plan.q_start.front() != 0 ||
      plan.q_start.back() != plan.n_tokens() || !std::is_sorted(plan.q_start.begin(), plan.q_start.end()) ||
      plan.block_tables.size() != n_seqs * static_cast<size_t>(plan.blocks_per_seq) ||
      plan.block_len != spec.block_len)
    throw ShapeError(
        "a plan of {} tokens and {} sequences has arrays that do not fit each other or the storage: use "
        "KvCache::plan",
        n_tokens, n_seqs);
  const int64_t n_slots = int64_t{spec.n_blocks} * spec.block_len;
  for (int64_t slot : plan.append_slots)
    if (slot < 0 || slot >= n_slots)
      throw ShapeError("append slot {} is outside a cache of {} slots: use KvCache::plan", slot, n_slots);
  for (int32_t row : plan.logit_rows)
    if (row < 0 || row >= plan.n_tokens())
      throw ShapeError("logit row {} in a step of {} tokens: use KvCache::plan", row, plan.n_tokens());
  if (plan.window < 0 || plan.window_sinks < 0)
    throw ShapeError("a plan with window {} and {} sinks: neither may be negative", plan.window,
                     plan.window_sinks);
  if (plan.table_sinks < 0 || (!plan.table_first.empty() && plan.table_first.size() != n_seqs) ||
      (!plan.key_positions.empty() &&
       plan.key_positions.size() != n_seqs * static_cast<size_t>(plan.keys_per_seq())) ||
      (plan.uses_new_positions() &&
       (plan.new_positions.size() != n_tokens ||
        plan.new_key_positions.size() != n_seqs * static_cast<size_t>(plan.keys_per_seq()))))
    throw ShapeError("a plan of {} sequences has arrays of other lengths: use KvCache::plan", n_seqs);
  require_open_blocks(plan, spec);
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    const BlockTable table = block_table(plan, i);
    if (table.first < 0 || table.first >= table.block_len)
      throw ShapeError("a table that begins at place {} of a block of {}: use KvCache::plan", table.first,
                       table.block_len);
    if (plan.kv_len[i] < 0 || plan.kv_len[i] > int64_t{plan.blocks_per_seq} * plan.block_len ||
        entries_used(table, plan.kv_len[i]) > plan.blocks_per_seq)
      throw ShapeError("kv_len {} does not fit {} blocks of {}: use KvCache::plan", plan.kv_len[i],
                       plan.blocks_per_seq, plan.block_len);
    for (int32_t b = 0; b < entries_used(table, plan.kv_len[i]); ++b) {
      const int32_t block = table.blocks[b];
      if (block < 0 || block >= spec.n_blocks)
        throw ShapeError("block {} of a cache of {} blocks: use KvCache::plan", block, spec.n_blocks);
    }
  }
}

}  // namespace

void plan(const StepPlan& plan, const KvStorage& storage) {
  const CacheSpec& spec = storage.spec();
  if (plan.windowed_every != spec.windowed.every ||
      static_cast<int32_t>(plan.of_windowed.size()) != spec.n_groups() - 1)
    throw ShapeError(
        "the plan and the storage do not agree which layers have blocks of their own: plan with the cache "
        "whose spec made the storage");
  if (spec.n_groups() == 1) return plan_of_group(plan, spec);
  const StepPlan& windowed = plan.of_windowed.front();
  if (windowed.tokens != plan.tokens || windowed.q_start != plan.q_start)
    throw ShapeError("the windowed layers have a plan of other tokens: use KvCache::plan");
  plan_of_group(plan, spec.group(0));
  plan_of_group(windowed, spec.group(1));
}

}  // namespace lastrow::checks
