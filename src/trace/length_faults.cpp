#include "trace/length_faults.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "trace/plan_edits.h"

namespace lastrow {
namespace {

/// Stores the new rows of sequence i at indices that are larger by `shift`. If the sequence's blocks have not
/// so much room, the shift is smaller.
void append_later(StepPlan& plan, int32_t i, int32_t shift) {
  const BlockTable table = table_of(plan, i);
  const int32_t q_len = plan.q_len(i), capacity = n_blocks_of(plan, i) * plan.block_len;
  shift = std::min(shift, capacity - plan.kv_len[i]);
  plan.kv_len[i] += shift;
  for (int32_t t = 0; t < q_len; ++t)
    plan.append_slots[plan.q_start[i] + t] = slot_of(table, plan.kv_len[i] - q_len + t);
}

/// Sets these rows of K and V of one layer to 0.
void clear(Backend& backend, KvStorage& storage, int32_t layer, const std::vector<int64_t>& slots) {
  const CacheSpec& spec = storage.spec();
  const Tensor zeros =
      Tensor::host(DType::f32, {static_cast<int64_t>(slots.size()), spec.n_kv_heads, spec.head_dim});
  for (const RowKind kind : {RowKind::k, RowKind::v})
    backend.write_rows(storage, layer, kind, slots, zeros.view());
}

/// Sets all rows to 0, in the layers from first_layer on.
void clear_all(Backend& backend, KvStorage& storage, int32_t first_layer) {
  for (int32_t layer = first_layer; layer < storage.spec().n_layers; ++layer) {
    std::vector<int64_t> slots(static_cast<size_t>(storage.spec().n_slots(layer)));
    std::iota(slots.begin(), slots.end(), 0);
    clear(backend, storage, layer, slots);
  }
}

}  // namespace

const Batch& StaleRows::begin_step(const StepPlan& plan, KvStorage& storage) {
  if (storage_ != &storage) clear_all(inner(), storage, 0);
  storage_ = &storage;
  plan_ = plan;
  if (!has_past(plan, 0) && held_ > 0) append_later(plan_, 0, held_);
  held_ = plan.kv_len[0];
  return inner().begin_step(plan_, storage);
}

const Batch& EarlyLength::begin_step(const StepPlan& plan, KvStorage& storage) {
  plan_ = plan;
  storage_ = &storage;
  late_ = nullptr;
  if (!has_past(plan, 0)) clear_all(inner(), storage, 1);
  return inner().begin_step(plan, storage);
}

void EarlyLength::run(const Op& op) {
  Op seen = op;
  std::visit(
      [this](auto& o) {
        if constexpr (requires { o.batch; }) o.batch = seen_batch(o.site, o.batch);
      },
      seen);
  inner().run(seen);
}

const Batch& EarlyLength::seen_batch(Site site, const Batch& batch) {
  if (site.layer == 0 || (site.layer < 0 && late_ == nullptr)) return batch;
  if (late_ == nullptr) {
    append_later(plan_, 0, plan_.q_len(0));
    plan_.block_copies.clear();  // the first begin_step has done them
    late_ = &inner().begin_step(plan_, *storage_);
  }
  return late_->of_layer(site.layer);
}

const Batch& UnmaskedTail::begin_step(const StepPlan& plan, KvStorage& storage) {
  if (storage_ != &storage) clear_all(inner(), storage, 0);
  storage_ = &storage;
  plan_ = plan;
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    if (plan.q_len(i) != 1) continue;
    const BlockTable table = table_of(plan, i);
    const int32_t capacity = n_blocks_of(plan, i) * plan.block_len;
    std::vector<int64_t> behind;
    for (int32_t index = plan.kv_len[i]; index < capacity; ++index) behind.push_back(slot_of(table, index));
    if (tail_ == Tail::zeros)
      for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer)
        if (storage.spec().group_of(layer) == 0) clear(inner(), storage, layer, behind);
    plan_.kv_len[i] = capacity;
  }
  return inner().begin_step(plan_, storage);
}

}  // namespace lastrow
