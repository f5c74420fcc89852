#include "gpu/backend/device_backend.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "backend/checks.h"
#include "gpu/kernels/ladder.h"
#include "gpu/kernels/ops/ops.h"

namespace lastrow::LASTROW_TARGET {

/// Names the launches made during its life after their site.
class DeviceBackend::Range {
 public:
  Range(Runtime& runtime, Site site) : runtime_(runtime) { runtime_.begin_range(site); }
  ~Range() { runtime_.end_range(); }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  Runtime& runtime_;
};

namespace {

/// The longest sequence of a step, as launches are made for it. A prefill is one of its kind. A decode step
/// is one of many that differ in length alone: it is made for the next power of two, so that one record
/// serves them all and none is made for more than twice what there is to do.
int32_t kv_bound(int32_t max_q_len, int32_t max_kv_len, int32_t max_seq_len) {
  constexpr uint32_t kLeast = 128;
  if (max_q_len != 1) return max_kv_len;
  const uint32_t bound = std::bit_ceil(std::max(kLeast, static_cast<uint32_t>(max_kv_len)));
  return static_cast<int32_t>(std::min(bound, static_cast<uint32_t>(std::max(max_seq_len, max_kv_len))));
}

/// Of a step: most queries, and most keys, of one sequence.
struct Lengths {
  int32_t max_q_len = 0, max_kv_len = 0;
};
Lengths bounds_of(const StepPlan& plan, const CacheSpec& cache) {
  Lengths most;
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    most.max_q_len = std::max(most.max_q_len, plan.q_len(i));
    most.max_kv_len = std::max(most.max_kv_len, plan.kv_len[i]);
  }
  most.max_kv_len = kv_bound(most.max_q_len, most.max_kv_len, cache.max_seq_len);
  return most;
}

}  // namespace

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

// ---- memory

Tensor DeviceBackend::make_tensor(Shape shape, std::optional<DType> dtype) {
  require_not_recording("a tensor");
  return Tensor(runtime_->memory(), dtype.value_or(DType::f32), shape);
}

Tensor DeviceBackend::upload(ConstTensorView host) {
  Tensor t = make_tensor(host.shape());
  write(host, t.view());
  return t;
}

void DeviceBackend::download(ConstTensorView from, TensorView host) {
  require_shape("download target", host.shape(), from.shape());
  require_not_recording("a download");
  if (from.dtype() == host.dtype()) return runtime_->to_host(host.raw(), from.raw(), from.size_bytes());
  Tensor same = Tensor::host(from.dtype(), from.shape());
  runtime_->to_host(same.view().raw(), from.raw(), from.size_bytes());
  convert(same.view(), host);
}

void DeviceBackend::write(ConstTensorView host, TensorView to) {
  require_shape("write source", host.shape(), to.shape());
  require_not_recording("a write");
  if (host.dtype() == to.dtype()) return runtime_->to_device(to.raw(), host.raw(), to.size_bytes());
  Tensor same = Tensor::host(to.dtype(), to.shape());
  convert(host, same.view());
  runtime_->to_device(to.raw(), same.view().raw(), to.size_bytes());
}

// ---- K/V storage

std::unique_ptr<KvStorage> DeviceBackend::make_storage(const CacheSpec& spec) {
  validate(spec);
  require_not_recording("storage");
  return std::make_unique<KvStorage>(spec, runtime_->memory(), spec.dtype);
}

void DeviceBackend::read_rows(const KvStorage& storage, int32_t layer, RowKind kind,
                              std::span<const int64_t> slots, TensorView host) {
  checks::rows(storage, layer, slots, host);
  if (slots.empty()) return;
  const CacheSpec& spec = storage.spec();
  Tensor rows = make_tensor(host.shape()), at = make_tensor({static_cast<int64_t>(slots.size())}, DType::i64);
  runtime_->to_device(at.view().raw(), slots.data(), at.size_bytes());
  const ConstTensorView scales = storage.scales(layer, kind);
  fetch_rows({.rows = rows.data<float>(),
              .slots = at.data<int64_t>(),
              .storage = storage.rows(layer, kind).raw(),
              .scales = scales.empty() ? nullptr : scales.data<float>(),
              .layout = spec.layout(),
              .kv_dtype = spec.dtype,
              .n_rows = static_cast<int32_t>(slots.size()),
              .n_blocks = spec.n_blocks},
             runtime_->stream());
  download(rows.view(), host);
}

void DeviceBackend::write_rows(KvStorage& storage, int32_t layer, RowKind kind,
                               std::span<const int64_t> slots, ConstTensorView host) {
  checks::rows(storage, layer, slots, host);
  if (slots.empty()) return;
  const Tensor rows = upload(host);
  Tensor at = make_tensor({static_cast<int64_t>(slots.size())}, DType::i64);
  runtime_->to_device(at.view().raw(), slots.data(), at.size_bytes());
  put({layer, "write_rows"}, rows.data<float>(), kind, at.data<int64_t>(), static_cast<int32_t>(slots.size()),
      storage);
}

void DeviceBackend::copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) {
  checks::copy_blocks(storage, copies);
  for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer)
    for (const RowKind kind : {RowKind::k, RowKind::v})
      for (const auto& [from, to] : copies) {
        const TensorView rows = storage.rows(layer, kind), scales = storage.scales(layer, kind);
        runtime_->on_device(rows.rows(to, 1).raw(), rows.rows(from, 1).raw(),
                            rows.rows(from, 1).size_bytes());
        if (!scales.empty())
          runtime_->on_device(scales.rows(to, 1).raw(), scales.rows(from, 1).raw(),
                              scales.rows(from, 1).size_bytes());
      }
}

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
               positions = place(plan.positions), q_start = place(plan.q_start), kv_len = place(plan.kv_len),
               tables = place(plan.block_tables), rows = place(plan.logit_rows);
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
            ints(rows)};
  seq_of_token_ = ints(seq_of_token);
  const Lengths most = bounds_of(plan, storage.spec());
  step_key_ = {.storage = storage.rows(0, RowKind::k).raw(),
               .n_tokens = plan.n_tokens(),
               .n_seqs = plan.n_seqs(),
               .n_logit_rows = plan.n_logit_rows(),
               .blocks_per_seq = plan.blocks_per_seq,
               .block_len = plan.block_len,
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
  const Range range(*runtime_, {-1, "replayed step"});
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

void DeviceBackend::embed(Site site, ConstTensorView table, const Batch& batch, TensorView out) {
  checks::embed(table, batch, out);
  const Range range(*runtime_, site);
  take_rows(table.data<float>(), table.dim(0), batch.tokens, out.dim(0), table.dim(1), out.data<float>(),
            runtime_->stream());
}

void DeviceBackend::rms_norm(Site site, ConstTensorView x, ConstTensorView weight, float eps,
                             TensorView out) {
  checks::rms_norm(x, weight, out);
  const Range range(*runtime_, site);
  LASTROW_TARGET::rms_norm(x.data<float>(), weight.data<float>(), eps, x.dim(0), x.dim(1), out.data<float>(),
                           runtime_->stream());
}

void DeviceBackend::linear(Site site, ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                           TensorView out) {
  checks::linear(x, weight, bias, out);
  if (out.size() == 0) return;
  const Range range(*runtime_, site);
  runtime_->linear(x, weight, out);
  if (!bias.empty())
    add_bias(bias.data<float>(), out.dim(0), out.dim(1), out.data<float>(), runtime_->stream());
}

void DeviceBackend::rope(Site site, const RopeTable& table, const Batch& batch, TensorView x) {
  checks::rope(table, batch, x);
  const Range range(*runtime_, site);
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

/// n rows [n_kv_heads, head_dim] into their slots, encoded.
void DeviceBackend::put(Site site, const float* rows, RowKind kind, const int64_t* slots, int32_t n,
                        KvStorage& storage) {
  const CacheSpec& spec = storage.spec();
  const TensorView scales = storage.scales(site.layer, kind);
  store_rows({.rows = rows,
              .slots = slots,
              .storage = storage.rows(site.layer, kind).raw(),
              .scales = scales.empty() ? nullptr : scales.data<float>(),
              .layout = spec.layout(),
              .kv_dtype = spec.dtype,
              .n_rows = n,
              .n_blocks = spec.n_blocks},
             runtime_->stream());
}

void DeviceBackend::append(Site site, ConstTensorView k, ConstTensorView v, const Batch& batch,
                           KvStorage& storage) {
  checks::append(site, k, v, batch, storage);
  const Range range(*runtime_, site);
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
  const Lengths most = bounds_of(plan, cache);
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
  const Range range(*runtime_, site);
  chosen->launch(call, runtime_->stream());
}

void DeviceBackend::probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                          const AttendSpec& spec, ConstTensorView lse, const ProbeSelection& selection,
                          TensorView scores, TensorView probs) {
  require_not_recording("a probe");
  const int32_t seq = checks::probe(site, q, storage, batch, lse, selection, scores, probs);
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
                         .probs = probs.data<float>()},
                        runtime_->stream());
}

void DeviceBackend::swiglu(Site site, ConstTensorView gate, ConstTensorView up, TensorView out) {
  checks::same_shape("swiglu gate", gate, out);
  checks::same_shape("swiglu up", up, out);
  const Range range(*runtime_, site);
  LASTROW_TARGET::swiglu(gate.data<float>(), up.data<float>(), out.size(), out.data<float>(),
                         runtime_->stream());
}

void DeviceBackend::add(Site site, ConstTensorView y, TensorView x) {
  checks::same_shape("addend", y, x);
  const Range range(*runtime_, site);
  LASTROW_TARGET::add(y.data<float>(), x.size(), x.data<float>(), runtime_->stream());
}

void DeviceBackend::gather_rows(Site site, ConstTensorView x, const Batch& batch, TensorView out) {
  checks::gather_rows(x, batch, out);
  const Range range(*runtime_, site);
  take_rows(x.data<float>(), x.dim(0), batch.logit_rows, out.dim(0), x.dim(1), out.data<float>(),
            runtime_->stream());
}

void DeviceBackend::argmax(Site site, ConstTensorView logits, TensorView ids) {
  checks::argmax(logits, ids);
  const Range range(*runtime_, site);
  LASTROW_TARGET::argmax(logits.data<float>(), logits.dim(0), logits.dim(1), ids.data<int32_t>(),
                         runtime_->stream());
}

}  // namespace lastrow::LASTROW_TARGET
