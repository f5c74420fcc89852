// DeviceBackend: the arrays of a step, and steps that are recorded and run again.
#include <algorithm>
#include <cstring>

#include "backend/checks.h"
#include "gpu/backend/device_backend.h"
#include "gpu/backend/step_bounds.h"

namespace lastrow::LASTROW_TARGET {

// ---- a step

/// One upload. The arrays lie one after the other by their sizes alone, so that steps of equal sizes have
/// them at equal addresses and a recorded graph stays true.
const Batch& DeviceBackend::begin_step(const StepPlan& plan, KvStorage& storage) {
  checks::plan(plan, storage);
  require_not_recording("a step");
  copy_blocks(storage, plan.block_copies);
  staging_.clear();
  const auto place = [&](const auto& array) {
    const size_t begin = (staging_.size() + 15) / 16 * 16, bytes = array.size() * sizeof(array[0]);
    staging_.resize(begin + bytes);
    if (bytes > 0) std::memcpy(staging_.data() + begin, array.data(), bytes);
    return begin;
  };
  const size_t slots = place(plan.append_slots), tokens = place(plan.tokens),
               positions = place(plan.effective_positions()), q_start = place(plan.q_start),
               kv_len = place(plan.kv_len), tables = place(plan.block_tables), rows = place(plan.logit_rows),
               table_first = place(plan.table_first), key_positions = place(plan.effective_key_positions());
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
  const auto ints = [&](size_t begin) { return reinterpret_cast<const int32_t*>(device + begin); };
  batch_ = {&plan,
            ints(tokens),
            ints(positions),
            ints(q_start),
            ints(kv_len),
            ints(tables),
            reinterpret_cast<const int64_t*>(device + slots),
            ints(rows),
            plan.table_first.empty() ? nullptr : ints(table_first),
            plan.effective_key_positions().empty() ? nullptr : ints(key_positions)};
  seq_of_token_ = ints(seq_of_token);
  const StepBounds most = bounds_of(plan, storage.spec());
  step_key_ = {.storage = storage.rows(0, RowKind::k).raw(),
               .n_tokens = plan.n_tokens(),
               .n_seqs = plan.n_seqs(),
               .n_logit_rows = plan.n_logit_rows(),
               .blocks_per_seq = plan.blocks_per_seq,
               .block_len = plan.block_len,
               .table_sinks = plan.table_sinks,
               .has_first = !plan.table_first.empty(),
               .has_positions = !plan.effective_key_positions().empty(),
               .has_new_positions = plan.gives_new_positions(),
               .wants_mass = plan.wants_mass,
               .max_q_len = most.max_q_len,
               .max_kv_len = most.max_kv_len};
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
