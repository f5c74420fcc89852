#include "trace/tracing.h"

#include <algorithm>
#include <string_view>

#include "cache/slots.h"
#include "ops/stored_rows.h"
#include "trace/host_dtype.h"

namespace lastrow {
namespace {

std::vector<int64_t> slots_of_block(const KvStorage& storage, int32_t block) {
  const int64_t block_len = storage.spec().block_len;
  std::vector<int64_t> slots(static_cast<size_t>(block_len));
  for (int64_t i = 0; i < block_len; ++i) slots[i] = block * block_len + i;
  return slots;
}

}  // namespace

// ---- which tensor a view belongs to

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
    if (rows_fit && offset == 0 && bytes > known.bytes) {  // the tensor is larger than was known so far
      known.bytes = bytes;
      forget_up_to(it);
    }
    if (rows_fit && offset + bytes <= known.bytes) return {&known, row_bytes > 0 ? offset / row_bytes : 0};
    if (offset < known.bytes) known_.erase(std::prev(it));  // its memory belongs to another tensor now
  }
  forget_up_to(it);
  Known& known = known_[address] = {bytes, row_bytes, next_id_++, 0};
  return {&known, 0};
}

RowSpan TracingBackend::read_span(ConstTensorView view) {
  const auto [tensor, first_row] = locate(view);
  return {RowSpace::tensor, tensor->id, first_row, view.n_rows(), tensor->version};
}

RowSpan TracingBackend::written_span(ConstTensorView view) {
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
                                RowSpace space, std::span<const int64_t> slots, bool write) {
  const CacheSpec& spec = storage.spec();
  SlotVersions& all_versions = slot_versions_[&storage];
  all_versions.resize(std::max(all_versions.size(), static_cast<size_t>(3 * spec.n_layers)));
  const int32_t place = space == RowSpace::k ? 0 : space == RowSpace::v ? 1 : 2;
  std::vector<int64_t>& versions = all_versions[static_cast<size_t>(3 * layer + place)];
  versions.resize(std::max(versions.size(), static_cast<size_t>(spec.n_slots(layer))));
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

// Runs the operation, and returns its event with site and times.
template <typename Run>
Event TracingBackend::timed(OpKind op, Site site, Run run) {
  Event event;
  event.op = op;
  event.layer = site.layer;
  event.name = site.name;
  event.start_us = recorder_.now_us();
  run();
  event.duration_us = recorder_.now_us() - event.start_us;
  return event;
}

// Completes the event of an operation and records it. The reads come first, so that an operation in place
// reads the version before the one that it writes.
void TracingBackend::record(Event event, const Op& op) {
  const Operands o = operands(op);
  event.cost = cost_of(op);
  if (o.reads_tokens) {
    const StepPlan& plan = recorder_.plan(recorder_.latest_step());
    event.reads.push_back({RowSpace::token, 0, 0, plan.n_tokens(), recorder_.latest_step()});
  }
  for (const ConstTensorView& view : o.reads)
    if (!view.empty()) event.reads.push_back(read_span(view));
  if (const auto* attend = std::get_if<Attend>(&op)) {
    event.kernel = inner().info().attend_kernel;
    add_visible_rows(event, *attend, {attend->keys.empty() ? RowSpace::k : RowSpace::rotated, RowSpace::v});
  }
  if (const auto* mass = std::get_if<ScoreMass>(&op)) add_visible_rows(event, *mass, {RowSpace::k});
  if (const auto* append = std::get_if<Append>(&op))
    for (const RowSpace space : {RowSpace::k, RowSpace::v})
      slot_spans(event.writes, append->storage, append->site.layer, space, append->batch.plan->append_slots,
                 true);
  if (traits(event.op).rule == RowRule::rotated) add_held_rows(event, *storage_of(op));
  if (traits(event.op).rule == RowRule::sealed) add_sealed_rows(event, *storage_of(op));
  for (const TensorView& view : o.writes) event.writes.push_back(written_span(view));
  recorder_.add_event(std::move(event));
}

// Adds the stored rows that an Attend or a ScoreMass reads.
template <typename Looking>
void TracingBackend::add_visible_rows(Event& event, const Looking& op,
                                      std::initializer_list<RowSpace> spaces) {
  const StepPlan& plan = *op.batch.plan;
  event.mask = op.spec.mask;
  for (const RowSpace space : spaces)
    for (int32_t i = 0; i < plan.n_seqs(); ++i) {
      const int32_t q_len = plan.q_len(i), kv_len = plan.kv_len[i];
      if (q_len == 0) continue;
      const VisibleKeys first = visible_keys(op.spec.mask, q_len, kv_len, 0),
                        last = visible_keys(op.spec.mask, q_len, kv_len, q_len - 1);
      const int32_t sinks = std::min(last.sinks, first.begin);  // what the window does not read anyway
      slot_spans(event.reads, op.storage, op.site.layer, space, slots_of(plan, i, 0, sinks), false);
      slot_spans(event.reads, op.storage, op.site.layer, space, slots_of(plan, i, first.begin, last.end),
                 false);
    }
}

// Adds the rows of an operation that rotates all held keys of a layer: their slots in K, and in the scratch.
void TracingBackend::add_held_rows(Event& event, const KvStorage& storage) {
  const StepPlan& plan = recorder_.plan(recorder_.latest_step()).of_layer(event.layer);
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    const std::vector<int64_t> slots = slots_of(plan, i, 0, plan.kv_len[i]);
    slot_spans(event.reads, storage, event.layer, RowSpace::k, slots, false);
    slot_spans(event.writes, storage, event.layer, RowSpace::rotated, slots, true);
  }
}

// Adds the rows of the blocks that an operation seals: it reads them in f32, and stores them rounded.
void TracingBackend::add_sealed_rows(Event& event, const KvStorage& storage) {
  const StepPlan& plan = recorder_.plan(recorder_.latest_step()).of_layer(event.layer);
  for (const bool write : {false, true})
    for (const int32_t block : plan.seals)
      slot_spans(write ? event.writes : event.reads, storage, event.layer, RowSpace::k,
                 slots_of_block(storage, block), write);
}

void TracingBackend::record_block_copies(double start_us, double duration_us, const KvStorage& storage,
                                         std::span<const BlockCopy> copies) {
  if (!recorder_.options().events || copies.empty()) return;
  Event event;
  event.op = kCopyBlocks;
  event.name = traits(kCopyBlocks).name;
  event.start_us = start_us;
  event.duration_us = duration_us;
  event.cost = cost::copy_blocks(storage, static_cast<int64_t>(copies.size()));
  for (const BlockCopy& copy : copies)
    for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer)
      for (const RowSpace space : {RowSpace::k, RowSpace::v}) {
        if (storage.spec().group_of(layer) != 0) continue;
        slot_spans(event.reads, storage, layer, space, slots_of_block(storage, copy.from_block), false);
        slot_spans(event.writes, storage, layer, space, slots_of_block(storage, copy.to_block), true);
      }
  recorder_.add_event(std::move(event));
}

void TracingBackend::write_rows(KvStorage& storage, int32_t layer, RowKind kind,
                                std::span<const int64_t> slots, ConstTensorView host) {
  Event event = timed(kWriteRows, {layer, "write_rows"},
                      [&] { inner().write_rows(storage, layer, kind, slots, host); });
  if (!recorder_.options().events || recorder_.latest_step() < 0) return;
  event.cost = cost::write_rows(storage, kind, static_cast<int64_t>(slots.size()), host.dtype());
  slot_spans(event.writes, storage, layer, kind == RowKind::k ? RowSpace::k : RowSpace::v, slots, true);
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

void TracingBackend::run(const Op& op) {
  if (std::holds_alternative<Probe>(op)) return inner().run(op);  // a probe is not part of the model's work
  const Site site = site_of(op);
  Event event = timed(kind(op), site, [&] { inner().run(op); });
  if (recorder_.options().events) record(std::move(event), op);
  if (!recorder_.keeps_layer(site.layer)) return;
  const auto* attend = std::get_if<Attend>(&op);
  if (attend != nullptr && recorder_.options().attention) return keep_attention(*attend);
  const Operands o = operands(op);
  if (o.writes.size() > 0) keep_output(site, o.writes[0]);
}

// ---- tensors

// Records the first output of an operation, if options.ops names it or StepTensors has a view of it.
void TracingBackend::keep_output(Site site, ConstTensorView out) {
  const std::string_view name = site.name;
  const bool in_step_tensors = recorder_.options().attention &&
                               (site::is_embedding(name) || name == site::kAddFfn || name == site::kLmHead);
  if (in_step_tensors || recorder_.keeps_op(name)) recorder_.add_tensor(inner(), site.layer, name, 0, out);
}

void TracingBackend::keep_attention(const Attend& op) {
  recorder_.add_tensor(inner(), op.site.layer, recorded::kQ, 0, op.q);
  recorder_.add_tensor(inner(), op.site.layer, op.site.name, 0, op.out);
  recorder_.add_tensor(inner(), op.site.layer, recorded::kLse, 0, op.lse);
  for (int32_t i = 0; i < op.batch.plan->n_seqs(); ++i)
    for (const RowKind kind : {RowKind::k, RowKind::v})
      if (!keep_stored_rows(op, i, kind)) return;
  if (!recorder_.options().probe) return;
  for (int32_t i = 0; i < op.batch.plan->n_seqs(); ++i)
    if (!keep_probe(op, i)) return;
}

// Records the K or V rows that the sequence can see. Returns whether there was room.
bool TracingBackend::keep_stored_rows(const Attend& op, int32_t sequence, RowKind kind) {
  const CacheSpec& cache = op.storage.spec();
  const int32_t kv_len = op.batch.plan->kv_len[sequence];
  const Shape shape{kv_len, cache.n_kv_heads, cache.head_dim};
  const DType dtype = host_dtype(op.q.dtype());
  if (recorder_.options().keep == RecordOptions::Keep::latest &&
      !recorder_.room_for(shape.size() * static_cast<int64_t>(size_of(dtype))))
    return false;
  const std::vector<int64_t> slots = slots_of(*op.batch.plan, sequence, 0, kv_len);
  Tensor rows = Tensor::host(dtype, shape);
  inner().read_rows(op.storage, op.site.layer, kind, slots, rows.view());
  recorder_.add_rows(op.site.layer, kind, sequence, slots, std::move(rows));
  return true;
}

// Probes the attend and records scores and probs. Returns whether there was room.
bool TracingBackend::keep_probe(const Attend& op, int32_t sequence) {
  const StepPlan& plan = *op.batch.plan;
  const auto n_q_heads = static_cast<int32_t>(op.q.dim(1));
  const int32_t q_len = plan.q_len(sequence);
  const Shape shape{n_q_heads, q_len, plan.kv_len[sequence]};
  if (shape.size() == 0) return true;
  if (!recorder_.room_for(2 * shape.size() * static_cast<int64_t>(size_of(op.q.dtype())))) return false;
  Tensor scores = inner().make_tensor(shape), probs = inner().make_tensor(shape);
  inner().run(Probe{.site = op.site,
                    .q = op.q,
                    .storage = op.storage,
                    .batch = op.batch,
                    .spec = op.spec,
                    .lse = op.lse,
                    .selection = {0, n_q_heads, plan.q_start[sequence], q_len},
                    .scores = scores,
                    .probs = probs,
                    .keys = op.keys});
  recorder_.add_tensor(inner(), op.site.layer, recorded::kScores, sequence, scores.view());
  recorder_.add_tensor(inner(), op.site.layer, recorded::kProbs, sequence, probs.view());
  return true;
}

}  // namespace lastrow
