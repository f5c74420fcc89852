#include "gpu/backend/device_backend.h"

#include <algorithm>

#include "backend/checks.h"
#include "gpu/backend/step_bounds.h"
#include "gpu/kernels/ladder.h"
#include "gpu/kernels/ops/ops.h"

namespace lastrow::LASTROW_TARGET {

DeviceBackend::DeviceBackend(const gpu::DeviceOptions& options) : forced_kernel_(options.kernel) {
  if (!forced_kernel_.empty()) rung(forced_kernel_);  // refuses a name that is not in the ladder
  runtime_ = make_runtime(options);
}

DeviceBackend::~DeviceBackend() = default;

BackendInfo DeviceBackend::info() const {
  return {.name = runtime_->name(),
          .description = runtime_->description(),
          .activation_dtype = DType::f32,
          .n_threads = runtime_->n_threads(),
          .attend_kernel = attend_kernel_,
          .n_replayed = n_replayed_,
          .in_host_memory = runtime_->in_host_memory()};
}

// ---- operations

void DeviceBackend::embed(Site site, ConstTensorView table, const Batch& batch, TensorView out) {
  checks::embed(table, batch, out);
  const SiteRange range(*runtime_, site);
  take_rows(table.data<float>(), table.dim(0), batch.tokens, out.dim(0), table.dim(1), out.data<float>(),
            runtime_->stream());
}

void DeviceBackend::rms_norm(Site site, ConstTensorView x, ConstTensorView weight, float eps,
                             TensorView out) {
  checks::rms_norm(x, weight, out);
  const SiteRange range(*runtime_, site);
  LASTROW_TARGET::rms_norm(x.data<float>(), weight.data<float>(), eps, x.dim(0), x.dim(1), out.data<float>(),
                           runtime_->stream());
}

void DeviceBackend::linear(Site site, ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                           TensorView out) {
  checks::linear(x, weight, bias, out);
  if (out.size() == 0) return;
  const SiteRange range(*runtime_, site);
  runtime_->linear(x, weight, out);
  if (!bias.empty())
    add_bias(bias.data<float>(), out.dim(0), out.dim(1), out.data<float>(), runtime_->stream());
}

void DeviceBackend::rope(Site site, const RopeTable& table, const Batch& batch, TensorView x) {
  checks::rope(table, batch, x);
  const SiteRange range(*runtime_, site);
  LASTROW_TARGET::rope({.cos = table.cos.data<float>(),
                        .sin = table.sin.data<float>(),
                        .positions = batch.positions,
                        .x = x.data<float>(),
                        .max_seq_len = static_cast<int32_t>(table.cos.shape()[0]),
                        .n_tokens = static_cast<int32_t>(x.dim(0)),
                        .n_heads = static_cast<int32_t>(x.dim(1)),
                        .head_dim = static_cast<int32_t>(x.dim(2)),
                        .interleaved = table.interleaved},
                       runtime_->stream());
}

void DeviceBackend::append(Site site, ConstTensorView k, ConstTensorView v, const Batch& batch,
                           KvStorage& storage) {
  checks::append(site, k, v, batch, storage);
  const SiteRange range(*runtime_, site);
  const auto n_tokens = static_cast<int32_t>(k.dim(0));
  put(site, k.data<float>(), RowKind::k, batch.append_slots, n_tokens, storage);
  put(site, v.data<float>(), RowKind::v, batch.append_slots, n_tokens, storage);
}

/// All but out, lse and scratch.
gpu::AttendCall DeviceBackend::attend_call(Site site, ConstTensorView q, const KvStorage& storage,
                                           const Batch& batch, const AttendSpec& spec) const {
  const StepPlan& plan = *batch.plan;
  const CacheSpec& cache = storage.spec();
  const ConstTensorView k_scales = storage.scales(site.layer, RowKind::k),
                        v_scales = storage.scales(site.layer, RowKind::v);
  const StepBounds most = bounds_of(plan, cache);
  const gpu::AttendShape shape{.n_q_heads = static_cast<int32_t>(q.dim(1)),
                               .n_kv_heads = cache.n_kv_heads,
                               .head_dim = cache.head_dim,
                               .kv_dtype = cache.dtype,
                               .n_tokens = plan.n_tokens(),
                               .n_seqs = plan.n_seqs(),
                               .max_q_len = most.max_q_len,
                               .max_kv_len = most.max_kv_len,
                               .block_len = plan.block_len,
                               .blocks_per_seq = plan.blocks_per_seq,
                               .n_blocks = cache.n_blocks,
                               .n_multiprocessors = runtime_->n_multiprocessors(),
                               .max_shared_bytes = runtime_->max_shared_bytes()};
  return {.shape = shape,
          .spec = spec,
          .q = q.data<float>(),
          .k = storage.rows(site.layer, RowKind::k).raw(),
          .v = storage.rows(site.layer, RowKind::v).raw(),
          .k_scales = k_scales.empty() ? nullptr : k_scales.data<float>(),
          .v_scales = v_scales.empty() ? nullptr : v_scales.data<float>(),
          .q_start = batch.q_start,
          .kv_len = batch.kv_len,
          .seq_of_token = seq_of_token_,
          .block_tables = batch.block_tables,
          .out = nullptr,
          .lse = nullptr,
          .scratch = nullptr};
}

namespace {

/// Of this call; of a decode step also of any later one, however long: a growing context takes no more
/// memory, and no record is lost to a scratch that was outgrown.
int64_t scratch_elems(const Rung& rung, gpu::AttendShape shape, int32_t max_seq_len) {
  const int64_t now = rung.scratch_elems(shape);
  if (shape.max_q_len != 1) return now;
  shape.max_kv_len = std::max(shape.max_kv_len, max_seq_len);
  return std::max(now, rung.scratch_elems(shape));
}

}  // namespace

float* DeviceBackend::scratch(int64_t n_elems) {
  if (n_elems > 0 && (scratch_.empty() || scratch_.size() < n_elems)) {
    scratch_ = {};
    scratch_ = make_tensor({n_elems});
  }
  return n_elems == 0 ? nullptr : scratch_.data<float>();
}

void DeviceBackend::attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                           const AttendSpec& spec, TensorView out, TensorView lse) {
  checks::attend(site, q, storage, batch, out, lse);
  gpu::AttendCall call = attend_call(site, q, storage, batch, spec);
  const Rung* chosen = &choose(call.shape);
  attend_kernel_ = chosen->name;
  if (!forced_kernel_.empty()) {
    const Rung& forced = rung(forced_kernel_);
    if (const std::string why_not = forced.supports(call.shape); why_not.empty()) {
      chosen = &forced;
      attend_kernel_ = forced.name;
    } else {
      attend_kernel_ = fmt::format("{} ({} cannot take this call: {})", chosen->name, forced.name, why_not);
    }
  }
  if (const std::string why_not = chosen->supports(call.shape); !why_not.empty())
    throw ShapeError(
        "no kernel takes K/V in {} with a head_dim of {} ({}: {}): use f32, or the backend eigen",
        name_of(call.shape.kv_dtype), call.shape.head_dim, chosen->name, why_not);
  call.out = out.data<float>();
  call.lse = lse.data<float>();
  call.scratch = scratch(scratch_elems(*chosen, call.shape, storage.spec().max_seq_len));
  const SiteRange range(*runtime_, site);
  chosen->launch(call, runtime_->stream());
}

void DeviceBackend::probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                          const AttendSpec& spec, ConstTensorView lse, const ProbeSelection& selection,
                          TensorView scores, TensorView probs, TensorView lse_distance) {
  require_not_recording("a probe");
  const int32_t seq = checks::probe(site, q, storage, batch, lse, selection, scores, probs, lse_distance);
  gpu::AttendCall call = attend_call(site, q, storage, batch, spec);
  call.lse = const_cast<float*>(lse.data<float>());  // read alone; one struct serves both directions
  LASTROW_TARGET::probe({.attend = call,
                         .seq = seq,
                         .first_head = selection.first_head,
                         .n_heads = selection.n_heads,
                         .first_row = selection.first_row,
                         .n_rows = selection.n_rows,
                         .kv_len = batch.plan->kv_len[seq],
                         .scores = scores.data<float>(),
                         .probs = probs.data<float>(),
                         .lse_distance = lse_distance.empty() ? nullptr : lse_distance.data<float>()},
                        runtime_->stream());
}

void DeviceBackend::swiglu(Site site, ConstTensorView gate, ConstTensorView up, TensorView out) {
  checks::same_shape("swiglu gate", gate, out);
  checks::same_shape("swiglu up", up, out);
  const SiteRange range(*runtime_, site);
  LASTROW_TARGET::swiglu(gate.data<float>(), up.data<float>(), out.size(), out.data<float>(),
                         runtime_->stream());
}

void DeviceBackend::add(Site site, ConstTensorView y, TensorView x) {
  checks::same_shape("addend", y, x);
  const SiteRange range(*runtime_, site);
  LASTROW_TARGET::add(y.data<float>(), x.size(), x.data<float>(), runtime_->stream());
}

void DeviceBackend::gather_rows(Site site, ConstTensorView x, const Batch& batch, TensorView out) {
  checks::gather_rows(x, batch, out);
  const SiteRange range(*runtime_, site);
  take_rows(x.data<float>(), x.dim(0), batch.logit_rows, out.dim(0), x.dim(1), out.data<float>(),
            runtime_->stream());
}

void DeviceBackend::argmax(Site site, ConstTensorView logits, TensorView ids) {
  checks::argmax(logits, ids);
  const SiteRange range(*runtime_, site);
  LASTROW_TARGET::argmax(logits.data<float>(), logits.dim(0), logits.dim(1), ids.data<int32_t>(),
                         runtime_->stream());
}

}  // namespace lastrow::LASTROW_TARGET
