#include "gpu/backend/device_backend.h"

#include <algorithm>

#include "core/stop.h"
#include "gpu/backend/channel_storage.h"
#include "gpu/backend/step_bounds.h"
#include "gpu/ladder/ladder.h"
#include "gpu/ops/ops.h"

namespace lastrow::LASTROW_TARGET {

DeviceBackend::DeviceBackend(const gpu::DeviceOptions& options, int32_t n_threads)
    : forced_kernel_(options.kernel) {
  if (!forced_kernel_.empty()) rung(forced_kernel_);  // refuses a name that is not in the ladder
  runtime_ = make_runtime(options, n_threads);
}

DeviceBackend::~DeviceBackend() = default;

BackendInfo DeviceBackend::info() const {
  return {.name = runtime_->name(),
          .description = runtime_->description(),
          .activation_dtype = DType::f32,
          .n_threads = runtime_->n_threads(),
          .attend_kernel = attend_kernel_,
          .n_replayed = n_replayed_,
          .in_host_memory = runtime_->in_host_memory(),
          .is_fast = runtime_->emulator() == nullptr,
          .emulator = runtime_->emulator()};
}

// ---- operations

/// What Attend, Probe and ScoreMass have in common: all but out, lse and scratch.
template <typename Looking>
gpu::AttendCall DeviceBackend::attend_call(const Looking& op) {
  const StepPlan& plan = *op.batch.plan;
  const MaskRule& mask = op.spec.mask;
  if (plan.table_sinks > 0 && mask.window > 0 && mask.sinks != plan.table_sinks)
    throw ShapeError("a mask of {} sinks over tables of {} sinks: kernels need them to be equal", mask.sinks,
                     plan.table_sinks);
  const CacheSpec& cache = op.storage.spec();
  const int32_t layer = op.site.layer;
  const ConstTensorView k_scales = op.storage.scales(op.site.layer, RowKind::k),
                        v_scales = op.storage.scales(op.site.layer, RowKind::v);
  const StepBounds most = bounds_of(plan, cache.max_kv_len_of(layer));
  const gpu::AttendShape shape{.n_q_heads = static_cast<int32_t>(op.q.dim(1)),
                               .n_kv_heads = cache.n_kv_heads,
                               .head_dim = cache.head_dim,
                               .kv_dtype = cache.dtypes(),
                               .n_tokens = plan.n_tokens(),
                               .n_seqs = plan.n_seqs(),
                               .max_q_len = most.max_q_len,
                               .max_kv_len = most.max_kv_len,
                               .block_len = plan.block_len,
                               .blocks_per_seq = plan.blocks_per_seq,
                               .n_blocks = cache.n_blocks_of(layer),
                               .table_sinks = plan.table_sinks,
                               .sinks_apart = gpu::has_sinks_apart(op.spec.mask, plan.table_sinks),
                               .finishes_scores = !op.spec.score.only_scales()};
  gpu::AttendCall call{.task = {shape, runtime_->limits()},
                       .spec = op.spec,
                       .q = op.q.template data<float>(),
                       .k = op.storage.rows(op.site.layer, RowKind::k).raw(),
                       .v = op.storage.rows(op.site.layer, RowKind::v).raw(),
                       .k_scales = k_scales.raw(),
                       .v_scales = v_scales.raw(),
                       .q_start = op.batch.q_start,
                       .kv_len = op.batch.kv_len,
                       .seq_of_token = seq_of_token_,
                       .block_tables = op.batch.block_tables,
                       .out = nullptr,
                       .lse = nullptr,
                       .scratch = nullptr,
                       .slopes = slopes(op.spec.score),
                       .table_first = op.batch.table_first,
                       .positions = op.batch.positions,
                       .key_positions = op.batch.key_positions};
  if (op.storage.has_open_blocks())
    call.k_channels = channel_storage(op.storage, layer, op.batch.open_blocks);
  return call;
}

/// ALiBi's slopes on the device; null without ALiBi. They are uploaded once, so a recorded step finds them.
const float* DeviceBackend::slopes(const ScoreRule& score) {
  if (score.alibi_heads == 0) return nullptr;
  if (slopes_.empty() || slopes_.size() != score.alibi_heads) {
    Tensor host = Tensor::host(DType::f32, {score.alibi_heads});
    for (int32_t h = 0; h < score.alibi_heads; ++h) host.data<float>()[h] = score.slope(h);
    slopes_ = upload(host.view());
  }
  return slopes_.data<float>();
}

namespace {

/// Of this call; of a decode step also of any later one, however long: a growing context takes no more
/// memory, and no record is lost to a scratch that was outgrown.
int64_t scratch_elems(const Rung& rung, gpu::AttendTask task, int32_t max_seq_len) {
  const int64_t now = rung.scratch_elems(task);
  if (task.shape.max_q_len != 1) return now;
  task.shape.max_kv_len = std::max(task.shape.max_kv_len, max_seq_len);
  return std::max(now, rung.scratch_elems(task));
}

}  // namespace

/// A scratch of at least n_elems; null if n_elems is 0.
float* DeviceBackend::grown(Tensor& scratch, int64_t n_elems) {
  if (n_elems > 0 && (scratch.empty() || scratch.size() < n_elems)) {
    scratch = {};
    scratch = make_tensor({n_elems});
  }
  return n_elems == 0 ? nullptr : scratch.data<float>();
}

namespace {

/// Lets the call read keys in f32 in place of the stored ones.
void use_keys(gpu::AttendCall& call, const float* keys) {
  call.k = keys;
  call.k_scales = nullptr;
  call.task.shape.kv_dtype.k = DType::f32;
}

}  // namespace

/// If K has scales for channels, lets the call read the keys that the sequences of the step hold, decoded to f32.
void DeviceBackend::decode_channels(gpu::AttendCall& call) {
  const gpu::AttendShape& shape = call.task.shape;
  if (!has_channel_scales(shape.kv_dtype.k)) return;
  float* const keys = grown(decoded_keys_, call.k_channels.n_elems());
  decode_keys({.k = call.k_channels,
               .keys = keys,
               .kv_len = call.kv_len,
               .block_tables = call.block_tables,
               .n_seqs = shape.n_seqs,
               .blocks_per_seq = shape.blocks_per_seq,
               .max_kv_len = shape.max_kv_len},
              runtime_->stream());
  use_keys(call, keys);
}

void DeviceBackend::attend(const Attend& op) {
  gpu::AttendCall call = attend_call(op);
  if (!op.keys.empty()) use_keys(call, op.keys.data<float>());
  if (!choose(call.task).supports(call.task).empty())
    decode_channels(call);  // a head_dim that k13 does not take
  const Rung* chosen = &choose(call.task);
  attend_kernel_ = chosen->name;
  if (!forced_kernel_.empty()) {
    const Rung& forced = rung(forced_kernel_);
    if (const std::string why_not = forced.supports(call.task); why_not.empty()) {
      chosen = &forced;
      attend_kernel_ = forced.name;
    } else {
      attend_kernel_ = fmt::format("{} ({} cannot take this call: {})", chosen->name, forced.name, why_not);
    }
  }
  if (const std::string why_not = chosen->supports(call.task); !why_not.empty())
    throw ShapeError(
        "no kernel takes K/V in {} with a head_dim of {} ({}: {}): use f32, or the backend eigen",
        kv_dtypes_name(op.storage.spec().dtypes()), call.task.shape.head_dim, chosen->name, why_not);
  call.out = op.out.data<float>();
  call.lse = op.lse.data<float>();
  call.scratch =
      grown(scratch_, scratch_elems(*chosen, call.task, op.storage.spec().max_kv_len_of(op.site.layer)));
  chosen->launch(call, runtime_->stream());
}

void DeviceBackend::probe(const Probe& op) {
  require_not_recording("a probe");
  const int32_t seq = op.sequence();
  gpu::AttendCall call = attend_call(op);
  if (!op.keys.empty()) use_keys(call, op.keys.data<float>());
  decode_channels(call);
  call.lse = const_cast<float*>(op.lse.data<float>());  // read alone; one struct serves both directions
  LASTROW_TARGET::probe({.attend = call,
                         .seq = seq,
                         .first_head = op.selection.first_head,
                         .n_heads = op.selection.n_heads,
                         .first_row = op.selection.first_row,
                         .n_rows = op.selection.n_rows,
                         .kv_len = op.batch.plan->kv_len[seq],
                         .scores = op.scores.data<float>(),
                         .probs = op.probs.data<float>(),
                         .lse_distance = op.lse_distance.empty() ? nullptr : op.lse_distance.data<float>()},
                        runtime_->stream());
}

void DeviceBackend::score_mass(const ScoreMass& op) {
  gpu::AttendCall call = attend_call(op);
  decode_channels(call);
  call.lse = const_cast<float*>(op.lse.data<float>());  // read alone; one struct serves both directions
  LASTROW_TARGET::score_mass(call, op.mass.data<float>(), runtime_->stream());
}

/// One function an operation: its kernel, or cuBLAS's, queued on the stream.
struct DeviceBackend::Compute {
  DeviceBackend& self;
  Stream stream = self.runtime_->stream();

  void operator()(const Embed& op) const {
    take_rows(op.table.data<float>(), op.table.dim(0), op.batch.tokens, op.out.dim(0), op.table.dim(1),
              op.out.data<float>(), stream);
  }
  void operator()(const EmbedPositions& op) const {
    add_table_rows(op.table.data<float>(), op.table.dim(0), op.batch.positions, op.x.dim(0), op.x.dim(1),
                   op.x.data<float>(), stream);
  }
  void operator()(const RmsNorm& op) const {
    rms_norm(op.x.data<float>(), op.weight.data<float>(), op.eps, op.x.dim(0), op.x.dim(1),
             op.out.data<float>(), stream);
  }
  void operator()(const LayerNorm& op) const {
    layer_norm(op.x.data<float>(), op.weight.data<float>(), op.bias.data<float>(), op.eps, op.x.dim(0),
               op.x.dim(1), op.out.data<float>(), stream);
  }
  void operator()(const Linear& op) const {
    if (op.out.size() == 0) return;
    self.runtime_->linear(op.x, op.weight, op.out);
    if (!op.bias.empty())
      add_bias(op.bias.data<float>(), op.out.dim(0), op.out.dim(1), op.out.data<float>(), stream);
  }
  void operator()(const Rope& op) const {
    rope({.cos = op.table.cos.data<float>(),
          .sin = op.table.sin.data<float>(),
          .positions = op.batch.positions,
          .x = op.x.data<float>(),
          .max_seq_len = static_cast<int32_t>(op.table.cos.shape()[0]),
          .n_tokens = static_cast<int32_t>(op.x.dim(0)),
          .n_heads = static_cast<int32_t>(op.x.dim(1)),
          .head_dim = static_cast<int32_t>(op.x.dim(2)),
          .interleaved = op.table.interleaved},
         stream);
  }
  void operator()(const Append& op) const {
    const auto n_tokens = static_cast<int32_t>(op.k.dim(0));
    if (op.storage.has_open_blocks())
      self.put_open(op.site, op.k.data<float>(), op.batch.open_slots, n_tokens, op.storage);
    else
      self.put(op.site, op.k.data<float>(), RowKind::k, op.batch.append_slots, n_tokens, op.storage);
    self.put(op.site, op.v.data<float>(), RowKind::v, op.batch.append_slots, n_tokens, op.storage);
  }
  void operator()(const SealKeys& op) const {
    seal_keys(channel_storage(op.storage, op.site.layer, op.batch.open_blocks), op.batch.seals,
              static_cast<int32_t>(op.batch.plan->seals.size()), stream);
  }
  void operator()(const RotateKeys& op) const {
    const StepPlan& plan = *op.batch.plan;
    const CacheSpec& cache = op.storage.spec();
    rotate_keys({.cos = op.table.cos.data<float>(),
                 .sin = op.table.sin.data<float>(),
                 .k = op.storage.rows(op.site.layer, RowKind::k).raw(),
                 .k_scales = op.storage.scales(op.site.layer, RowKind::k).raw(),
                 .keys = op.keys.data<float>(),
                 .kv_len = op.batch.kv_len,
                 .block_tables = op.batch.block_tables,
                 .table_first = op.batch.table_first,
                 .key_positions = op.batch.key_positions,
                 .layout = cache.layout(),
                 .k_dtype = cache.dtype_k,
                 .n_blocks = cache.n_blocks,
                 .max_seq_len = static_cast<int32_t>(op.table.cos.shape()[0]),
                 .n_seqs = plan.n_seqs(),
                 .blocks_per_seq = plan.blocks_per_seq,
                 .table_sinks = plan.table_sinks,
                 .interleaved = op.table.interleaved},
                stream);
  }
  void operator()(const Attend& op) const { self.attend(op); }
  void operator()(const Probe& op) const { self.probe(op); }
  void operator()(const ScoreMass& op) const { self.score_mass(op); }
  void operator()(const Swiglu& op) const {
    swiglu(op.gate.data<float>(), op.up.data<float>(), op.out.size(), op.out.data<float>(), stream);
  }
  void operator()(const Gelu& op) const {
    gelu(op.x.data<float>(), op.out.size(), op.out.data<float>(), stream);
  }
  void operator()(const Add& op) const { add(op.y.data<float>(), op.x.size(), op.x.data<float>(), stream); }
  void operator()(const GatherRows& op) const {
    take_rows(op.x.data<float>(), op.x.dim(0), op.batch.logit_rows, op.out.dim(0), op.x.dim(1),
              op.out.data<float>(), stream);
  }
  void operator()(const Argmax& op) const {
    argmax(op.logits.data<float>(), op.logits.dim(0), op.logits.dim(1), op.ids.data<int32_t>(), stream);
  }
};

void DeviceBackend::run(const Op& op) {
  check(op);
  stop_if_asked();
  const SiteRange range(*runtime_, site_of(op));
  std::visit(Compute{*this}, op);
}

}  // namespace lastrow::LASTROW_TARGET
