// DeviceBackend: the arrays of a step, and steps that are recorded and run again.
#include <algorithm>
#include <cstring>

#include "backend/checks.h"
#include "gpu/backend/device_backend.h"
#include "gpu/backend/step_bounds.h"

namespace lastrow::LASTROW_TARGET {

// ---- a step

/// Where the arrays of a plan begin in staging_, in bytes. On the device they have the same offsets in step_.
struct DeviceBackend::Placed {
  size_t slots, tokens, positions, q_start, kv_len, tables, rows, table_first, key_positions;
  size_t open_blocks, open_slots, seals;
};

/// Appends the arrays of a plan to staging_.
DeviceBackend::Placed DeviceBackend::stage(const StepPlan& plan) {
  const auto place = [&](const auto& array) {
    const size_t begin = (staging_.size() + 15) / 16 * 16, bytes = array.size() * sizeof(array[0]);
    staging_.resize(begin + bytes);
    if (bytes > 0) std::memcpy(staging_.data() + begin, array.data(), bytes);
    return begin;
  };
  return {.slots = place(plan.append_slots),
          .tokens = place(plan.tokens),
          .positions = place(plan.effective_positions()),
          .q_start = place(plan.q_start),
          .kv_len = place(plan.kv_len),
          .tables = place(plan.block_tables),
          .rows = place(plan.logit_rows),
          .table_first = place(plan.table_first),
          .key_positions = place(plan.effective_key_positions()),
          .open_blocks = place(plan.open_blocks),
          .open_slots = place(plan.open_slots),
          .seals = place(plan.seals)};
}

Batch DeviceBackend::batch_of(const StepPlan& plan, const Placed& at, const Batch* of_windowed) const {
  const auto* const device = static_cast<const std::byte*>(step_.view().raw());
  const auto ints = [&](size_t begin) { return reinterpret_cast<const int32_t*>(device + begin); };
  return {&plan,
          ints(at.tokens),
          ints(at.positions),
          ints(at.q_start),
          ints(at.kv_len),
          ints(at.tables),
          reinterpret_cast<const int64_t*>(device + at.slots),
          ints(at.rows),
          plan.table_first.empty() ? nullptr : ints(at.table_first),
          plan.effective_key_positions().empty() ? nullptr : ints(at.key_positions),
          plan.open_blocks.empty() ? nullptr : ints(at.open_blocks),
          plan.open_blocks.empty() ? nullptr : reinterpret_cast<const int64_t*>(device + at.open_slots),
          plan.open_blocks.empty() ? nullptr : ints(at.seals),
          of_windowed};
}

/// One upload. The arrays lie one after the other by their sizes alone, so that steps of equal sizes have
/// them at equal addresses and a recorded graph stays true.
const Batch& DeviceBackend::begin_step(const StepPlan& plan, KvStorage& storage) {
  checks::plan(plan, storage);
  require_not_recording("a step");
  copy_blocks(storage, plan.block_copies);
  storage.open_blocks().set(plan.open_blocks);
  staging_.clear();
  const Placed at = stage(plan);
  const StepPlan* const windowed = plan.of_windowed.empty() ? nullptr : &plan.of_windowed.front();
  const Placed windowed_at = windowed == nullptr ? Placed{} : stage(*windowed);
  const size_t seq_of_token = (staging_.size() + 15) / 16 * 16;
  staging_.resize(seq_of_token + plan.tokens.size() * sizeof(int32_t));
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    std::fill_n(reinterpret_cast<int32_t*>(staging_.data() + seq_of_token) + plan.q_start[i], plan.q_len(i),
                i);

  if (step_.empty() || step_.size() < static_cast<int64_t>(staging_.size())) {
    step_ = {};
    step_ = make_tensor({static_cast<int64_t>(2 * staging_.size())}, DType::u8);
  }
  auto* const device = static_cast<std::byte*>(step_.view().raw());
  runtime_->to_device(device, staging_.data(), static_cast<int64_t>(staging_.size()));
  if (windowed != nullptr) windowed_batch_ = batch_of(*windowed, windowed_at, nullptr);
  batch_ = batch_of(plan, at, windowed == nullptr ? nullptr : &windowed_batch_);
  seq_of_token_ = reinterpret_cast<const int32_t*>(device + seq_of_token);
  const CacheSpec& spec = storage.spec();
  const StepBounds most = bounds_of(plan, spec.max_kv_len());
  step_key_ = {.storage = storage.rows(0, RowKind::k).raw(),
               .n_tokens = plan.n_tokens(),
               .n_seqs = plan.n_seqs(),
               .n_logit_rows = plan.n_logit_rows(),
               .blocks_per_seq = plan.blocks_per_seq,
               .block_len = plan.block_len,
               .table_sinks = plan.table_sinks,
               .has_first = !plan.table_first.empty(),
               .has_positions = !plan.effective_key_positions().empty(),
               .has_new_positions = plan.uses_new_positions(),
               .wants_mass = plan.wants_mass,
               .n_seals = static_cast<int32_t>(plan.seals.size()),
               .max_q_len = most.max_q_len,
               .max_kv_len = most.max_kv_len,
               .windowed_max_kv_len =
                   windowed == nullptr ? 0 : bounds_of(*windowed, spec.windowed.held_rows).max_kv_len};
  return batch_;
}

// ---- a step, recorded

void DeviceBackend::replay(int64_t key, FunctionRef<void()> ops) {
  require_not_recording("a replay");
  records_.forget_users_of(runtime_->memory().take_oldest_freed());
  step_key_.ops = key;
  KeptStep* known = records_.find(step_key_);
  if (known == nullptr) {
    ops();
    records_.forget_users_of(runtime_->memory().take_oldest_freed());  // of a scratch that was outgrown
    records_.add({.key = step_key_, .number = runtime_->memory().n_allocations()});
    return;
  }
  if (known->recording == nullptr)
    record(*known, ops);
  else
    ++n_replayed_;
  attend_kernel_ = known->attend_kernel;
  const SiteRange range(*runtime_, {-1, "replayed step"});
  runtime_->play(*known->recording);
}

void DeviceBackend::record(KeptStep& step, FunctionRef<void()> ops) {
  recording_ = true;
  try {
    step.recording = runtime_->record(ops);
  } catch (...) {
    recording_ = false;
    throw;
  }
  recording_ = false;
  step.number = runtime_->memory().n_allocations();
  step.attend_kernel = attend_kernel_;
}

/// What a record cannot hold: a replay would go without it.
void DeviceBackend::require_not_recording(const char* what) const {
  if (recording_)
    throw UsageError("{} was asked for while a step is recorded: ask for it before replay, or after", what);
}

}  // namespace lastrow::LASTROW_TARGET
