#include "trace/tracing.h"

#include <algorithm>
#include <string_view>

#include "backend/site_names.h"
#include "trace/call_cost.h"
#include "trace/host_dtype.h"
#include "trace/slots.h"

namespace lastrow {

// ---- who is who

TracingBackend::Place TracingBackend::locate(ConstTensorView view) {
  const auto* address = static_cast<const std::byte*>(view.raw());
  const int64_t bytes = view.size_bytes();
  const int64_t row_bytes = view.row_size() * static_cast<int64_t>(size_of(view.dtype()));
  const auto forget_up_to = [&](auto it) {
    while (it != known_.end() && it->first < address + bytes) it = known_.erase(it);
  };
  auto it = known_.upper_bound(address);
  if (it != known_.begin()) {
    auto& [base, known] = *std::prev(it);
    const int64_t offset = address - base;
    const bool rows_fit = known.row_bytes == row_bytes && offset % std::max<int64_t>(row_bytes, 1) == 0;
    if (rows_fit && offset == 0 && bytes > known.bytes) {  // more of it than was seen so far
      known.bytes = bytes;
      forget_up_to(it);
    }
    if (rows_fit && offset + bytes <= known.bytes) return {&known, row_bytes > 0 ? offset / row_bytes : 0};
    if (offset < known.bytes) known_.erase(std::prev(it));  // its memory is something else now
  }
  forget_up_to(it);
  Known& known = known_[address] = {bytes, row_bytes, next_id_++, 0};
  return {&known, 0};
}

RowSpan TracingBackend::read_of(ConstTensorView view) {
  const auto [tensor, first_row] = locate(view);
  return {RowSpace::tensor, tensor->id, first_row, view.n_rows(), tensor->version};
}

RowSpan TracingBackend::written(ConstTensorView view) {
  const auto [tensor, first_row] = locate(view);
  return {RowSpace::tensor, tensor->id, first_row, view.n_rows(), ++tensor->version};
}

Tensor TracingBackend::make_tensor(Shape shape, std::optional<DType> dtype) {
  Tensor t = inner().make_tensor(shape, dtype);
  if (t.size() > 0) locate(std::as_const(t).view());
  return t;
}

Tensor TracingBackend::upload(ConstTensorView host) {
  Tensor t = inner().upload(host);
  if (t.size() > 0) locate(std::as_const(t).view());
  return t;
}

void TracingBackend::slot_spans(std::vector<RowSpan>& spans, const KvStorage& storage, int32_t layer,
                                RowKind kind, std::span<const int64_t> slots, bool write) {
  const CacheSpec& spec = storage.spec();
  if (storage_ != &storage) {
    storage_ = &storage;
    slot_versions_.assign(static_cast<size_t>(2 * spec.n_layers),
                          std::vector<int64_t>(static_cast<size_t>(int64_t{spec.n_blocks} * spec.block_len)));
  }
  std::vector<int64_t>& versions = slot_versions_[static_cast<size_t>(2 * layer + (kind == RowKind::v))];
  const RowSpace space = kind == RowKind::k ? RowSpace::k : RowSpace::v;
  const size_t start = spans.size();
  for (int64_t slot : slots) {
    const int64_t version = write ? ++versions[slot] : versions[slot];
    RowSpan* last = spans.size() > start ? &spans.back() : nullptr;
    if (last != nullptr && last->version == version && last->first + last->count == slot)
      ++last->count;
    else
      spans.push_back({space, layer, slot, 1, version});
  }
}

// ---- events

// Runs the operation, and begins its event.
template <typename Run>
Event TracingBackend::timed(Op op, Site site, Run run) {
  Event event;
  event.op = op;
  event.layer = site.layer;
  event.name = site.name;
  event.start_us = recorder_.now_us();
  run();
  event.duration_us = recorder_.now_us() - event.start_us;
  return event;
}

// Completes an event whose operands are tensors. Reads come before writes, so that an operation in place
// reads the version before its own.
void TracingBackend::record(Event event, std::initializer_list<ConstTensorView> reads,
                            std::initializer_list<ConstTensorView> writes) {
  if (!recorder_.options().events) return;
  for (const ConstTensorView& view : reads)
    if (!view.empty()) event.reads.push_back(read_of(view));
  for (const ConstTensorView& view : writes) event.writes.push_back(written(view));
  recorder_.add_event(std::move(event));
}

void TracingBackend::record_block_copies(double start_us, double duration_us, const KvStorage& storage,
                                         std::span<const BlockCopy> copies) {
  if (!recorder_.options().events || copies.empty()) return;
  Event event;
  event.op = Op::copy_blocks;
  event.name = name_of(Op::copy_blocks);
  event.start_us = start_us;
  event.duration_us = duration_us;
  event.cost = call_cost::copy_blocks(storage, static_cast<int64_t>(copies.size()));
  const int64_t block_len = storage.spec().block_len;
  const auto slots_of_block = [&](int32_t block) {
    std::vector<int64_t> slots(static_cast<size_t>(block_len));
    for (int64_t i = 0; i < block_len; ++i) slots[i] = block * block_len + i;
    return slots;
  };
  for (const BlockCopy& copy : copies)
    for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer)
      for (RowKind kind : {RowKind::k, RowKind::v}) {
        slot_spans(event.reads, storage, layer, kind, slots_of_block(copy.from_block), false);
        slot_spans(event.writes, storage, layer, kind, slots_of_block(copy.to_block), true);
      }
  recorder_.add_event(std::move(event));
}

void TracingBackend::write_rows(KvStorage& storage, int32_t layer, RowKind kind,
                                std::span<const int64_t> slots, ConstTensorView host) {
  Event event = timed(Op::write_rows, {layer, "write_rows"},
                      [&] { inner().write_rows(storage, layer, kind, slots, host); });
  if (!recorder_.options().events || recorder_.latest_step() < 0) return;
  event.cost = call_cost::write_rows(storage, static_cast<int64_t>(slots.size()), host.dtype());
  slot_spans(event.writes, storage, layer, kind, slots, true);
  recorder_.add_event(std::move(event));
}

void TracingBackend::copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) {
  const double start_us = recorder_.now_us();
  inner().copy_blocks(storage, copies);
  if (recorder_.latest_step() >= 0)
    record_block_copies(start_us, recorder_.now_us() - start_us, storage, copies);
}

const Batch& TracingBackend::begin_step(const StepPlan& plan, KvStorage& storage) {
  const double start_us = recorder_.now_us();
  const Batch& batch = inner().begin_step(plan, storage);
  const double duration_us = recorder_.now_us() - start_us;
  recorder_.open_step(plan, storage.spec());
  record_block_copies(start_us, duration_us, storage, plan.block_copies);
  return batch;
}

void TracingBackend::embed(Site site, ConstTensorView table, const Batch& batch, TensorView out) {
  Event event = timed(Op::embed, site, [&] { inner().embed(site, table, batch, out); });
  event.cost = call_cost::embed(table, out);
  event.reads.push_back({RowSpace::token, 0, 0, batch.plan->n_tokens(), recorder_.latest_step()});
  record(std::move(event), {table}, {out});
  keep_output(site, out);
}

void TracingBackend::rms_norm(Site site, ConstTensorView x, ConstTensorView weight, float eps,
                              TensorView out) {
  Event event = timed(Op::rms_norm, site, [&] { inner().rms_norm(site, x, weight, eps, out); });
  event.cost = call_cost::rms_norm(x, weight);
  record(std::move(event), {x, weight}, {out});
  keep_output(site, out);
}

void TracingBackend::linear(Site site, ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                            TensorView out) {
  Event event = timed(Op::linear, site, [&] { inner().linear(site, x, weight, bias, out); });
  event.cost = call_cost::linear(x, weight, bias);
  record(std::move(event), {x, weight, bias}, {out});
  keep_output(site, out);
}

void TracingBackend::rope(Site site, const RopeTable& table, const Batch& batch, TensorView x) {
  Event event = timed(Op::rope, site, [&] { inner().rope(site, table, batch, x); });
  event.cost = call_cost::rope(x);
  record(std::move(event), {x}, {x});
  keep_output(site, x);
}

void TracingBackend::append(Site site, ConstTensorView k, ConstTensorView v, const Batch& batch,
                            KvStorage& storage) {
  Event event = timed(Op::append, site, [&] { inner().append(site, k, v, batch, storage); });
  if (!recorder_.options().events) return;
  event.cost = call_cost::append(k, storage);
  const std::vector<int64_t>& slots = batch.plan->append_slots;
  slot_spans(event.writes, storage, site.layer, RowKind::k, slots, true);
  slot_spans(event.writes, storage, site.layer, RowKind::v, slots, true);
  record(std::move(event), {k, v}, {});
}

void TracingBackend::attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                            const AttendSpec& spec, TensorView out, TensorView lse) {
  Event event = timed(Op::attend, site, [&] { inner().attend(site, q, storage, batch, spec, out, lse); });
  if (recorder_.options().events) {
    const StepPlan& plan = *batch.plan;
    event.cost = call_cost::attend(q, storage, plan, spec);
    event.mask = spec.mask;
    event.kernel = inner().info().attend_kernel;
    event.reads.push_back(read_of(q));
    for (RowKind kind : {RowKind::k, RowKind::v})
      for (int32_t i = 0; i < plan.n_seqs(); ++i) {
        if (plan.q_len(i) == 0) continue;
        const int32_t begin = visible_keys(spec.mask, plan.q_len(i), plan.kv_len[i], 0).begin;
        const int32_t end = visible_keys(spec.mask, plan.q_len(i), plan.kv_len[i], plan.q_len(i) - 1).end;
        slot_spans(event.reads, storage, site.layer, kind, slots_of(plan, i, begin, end), false);
      }
    record(std::move(event), {}, {out, lse});
  }
  keep_attention(site, q, storage, batch, spec, out, lse);
}

void TracingBackend::swiglu(Site site, ConstTensorView gate, ConstTensorView up, TensorView out) {
  Event event = timed(Op::swiglu, site, [&] { inner().swiglu(site, gate, up, out); });
  event.cost = call_cost::swiglu(gate);
  record(std::move(event), {gate, up}, {out});
  keep_output(site, out);
}

void TracingBackend::add(Site site, ConstTensorView y, TensorView x) {
  Event event = timed(Op::add, site, [&] { inner().add(site, y, x); });
  event.cost = call_cost::add(y);
  record(std::move(event), {y, x}, {x});
  keep_output(site, x);
}

void TracingBackend::gather_rows(Site site, ConstTensorView x, const Batch& batch, TensorView out) {
  Event event = timed(Op::gather_rows, site, [&] { inner().gather_rows(site, x, batch, out); });
  event.cost = call_cost::gather_rows(out);
  record(std::move(event), {x}, {out});
  keep_output(site, out);
}

void TracingBackend::argmax(Site site, ConstTensorView logits, TensorView ids) {
  Event event = timed(Op::argmax, site, [&] { inner().argmax(site, logits, ids); });
  event.cost = call_cost::argmax(logits);
  record(std::move(event), {logits}, {ids});
  keep_output(site, ids);
}

// ---- tensors

// An operation's output: asked for by name, or one of those that StepTensors holds.
void TracingBackend::keep_output(Site site, ConstTensorView out) {
  if (!recorder_.keeps_layer(site.layer)) return;
  const std::string_view name = site.name;
  const bool of_the_step = recorder_.options().attention &&
                           (name == site::kEmbed || name == site::kAddFfn || name == site::kLmHead);
  if (of_the_step || recorder_.keeps_op(name)) recorder_.add_tensor(inner(), site.layer, name, 0, out);
}

void TracingBackend::keep_attention(Site site, ConstTensorView q, const KvStorage& storage,
                                    const Batch& batch, const AttendSpec& spec, ConstTensorView out,
                                    ConstTensorView lse) {
  if (!recorder_.keeps_layer(site.layer)) return;
  if (!recorder_.options().attention) return keep_output(site, out);
  recorder_.add_tensor(inner(), site.layer, recorded::kQ, 0, q);
  recorder_.add_tensor(inner(), site.layer, site.name, 0, out);
  recorder_.add_tensor(inner(), site.layer, recorded::kLse, 0, lse);

  const StepPlan& plan = *batch.plan;
  const CacheSpec& cache = storage.spec();
  const DType dtype = host_dtype(q.dtype());
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    for (RowKind kind : {RowKind::k, RowKind::v}) {
      const Shape shape{plan.kv_len[i], cache.n_kv_heads, cache.head_dim};
      if (recorder_.options().keep == RecordOptions::Keep::latest &&
          !recorder_.room_for(shape.size() * static_cast<int64_t>(size_of(dtype))))
        return;
      const std::vector<int64_t> slots = slots_of(plan, i, 0, plan.kv_len[i]);
      Tensor rows = Tensor::host(dtype, shape);
      inner().read_rows(storage, site.layer, kind, slots, rows.view());
      recorder_.add_rows(site.layer, kind, i, slots, std::move(rows));
    }
  if (recorder_.options().probe) keep_probes(site, q, storage, batch, spec, lse);
}

void TracingBackend::keep_probes(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                                 const AttendSpec& spec, ConstTensorView lse) {
  const StepPlan& plan = *batch.plan;
  const auto n_q_heads = static_cast<int32_t>(q.dim(1));
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    const Shape shape{n_q_heads, plan.q_len(i), plan.kv_len[i]};
    if (shape.size() == 0) continue;
    if (!recorder_.room_for(2 * shape.size() * static_cast<int64_t>(size_of(q.dtype())))) return;
    Tensor scores = inner().make_tensor(shape), probs = inner().make_tensor(shape);
    inner().probe(site, q, storage, batch, spec, lse, {0, n_q_heads, plan.q_start[i], plan.q_len(i)},
                  scores.view(), probs.view(), {});
    recorder_.add_tensor(inner(), site.layer, recorded::kScores, i, scores.view());
    recorder_.add_tensor(inner(), site.layer, recorded::kProbs, i, probs.view());
  }
}

}  // namespace lastrow
