#include "session/forward_step.h"

#include "core/stop.h"

namespace lastrow {
namespace {

/// The key for Backend::replay. One key is enough, because all steps that use it call the same operations:
/// each sequence feeds one token. A device tells steps with different numbers of sequences apart by their
/// sizes, and two storages of a session by their addresses.
constexpr int64_t kDecode = 1;

}  // namespace

void ForwardStep::run(const StepPlan& plan, KvStorage& storage, bool may_replay,
                      std::span<float> logits) const {
  const StopScope scope(stop);
  const Batch& batch = backend.begin_step(plan, storage);
  const auto forward = [&] { decoder.forward(backend, batch, storage, workspace, stop); };
  if (may_replay)
    backend.replay(kDecode, forward);
  else
    forward();
  const TensorView rows = workspace.logits.view().rows(0, plan.n_logit_rows());
  LASTROW_CHECK(static_cast<int64_t>(logits.size()) >= rows.size(), "{} logits for {} elements", rows.size(),
                logits.size());
  backend.download(rows, TensorView(logits.data(), rows.shape()));
}

void ForwardStep::add_mass(const StepPlan& plan, KvCache& cache) const {
  if (!plan.wants_mass) return;
  const TensorView masses = workspace.masses(plan, /*on_host=*/true);
  backend.download(workspace.masses(plan), masses);
  const int64_t n_elems = int64_t{plan.n_seqs()} * plan.keys_per_seq();  // of a layer
  float* const sum = masses.data<float>();
  for (int64_t first = n_elems; first < masses.size(); first += n_elems)
    for (int64_t i = 0; i < n_elems; ++i) sum[i] += sum[first + i];
  cache.add_mass(plan, {sum, static_cast<size_t>(n_elems)});
}

}  // namespace lastrow
