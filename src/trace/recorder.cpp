#include "trace/recorder.h"

#include <algorithm>
#include <cstring>

#include "cache/slots.h"
#include "ops/site.h"
#include "trace/host_dtype.h"

namespace lastrow {
namespace {

int64_t bytes_of(const Event& event) {
  return static_cast<int64_t>(sizeof(Event) + (event.reads.size() + event.writes.size()) * sizeof(RowSpan));
}

int64_t bytes_of(const StepPlan& plan) {
  auto bytes = static_cast<int64_t>(
      sizeof(StepPlan) + 32 * plan.tokens.size() + 16 * plan.kv_len.size() +
      4 * (plan.block_tables.size() + plan.table_first.size() + plan.key_positions.size()));
  for (const StepPlan& windowed : plan.of_windowed) bytes += bytes_of(windowed);
  return bytes;
}

}  // namespace

Recorder::Recorder(RecordOptions options)
    : options_(std::move(options)), start_(std::chrono::steady_clock::now()) {}

void Recorder::set_step(int32_t step) {
  if (step < 0) throw UsageError("step {}: steps count from 0", step);
  next_step_ = step;
}

/// Forgets this step and later ones. In a transaction, it puts aside the steps that were recorded before it.
void Recorder::forget_from(int32_t step) {
  if (aside_) {
    for (auto it = steps_.lower_bound(step); it != steps_.end() && it->first < aside_->first_new;) {
      const auto old = it++;
      bytes_ -= old->second.bytes;
      aside_->steps.insert(steps_.extract(old));
    }
    if (step < aside_->first_new) {
      KvLog later = kv_.take_from(step);
      later.drop_from(aside_->first_new);
      later.put_back(std::move(aside_->kv));
      aside_->kv = std::move(later);
    }
  }
  const auto from = steps_.lower_bound(step);
  for (auto it = from; it != steps_.end(); ++it) bytes_ -= it->second.bytes;
  steps_.erase(from, steps_.end());
  kv_.drop_from(step);
}

void Recorder::clear() {
  LASTROW_CHECK(aside_ == nullptr, "clear() while a transaction is open");
  forget_from(0);
  next_step_ = 0;
  truncated_ = false;
}

Recorder::Transaction::Transaction(Recorder& recorder)
    : recorder_(recorder),
      aside_{.steps = {},
             .kv = {},
             .spec = recorder.spec_,
             .next_step = recorder.next_step_,
             .truncated = recorder.truncated_} {
  LASTROW_CHECK(recorder.aside_ == nullptr, "a transaction while another one is open");
  recorder.aside_ = &aside_;
}

Recorder::Transaction::~Transaction() {
  if (recorder_.aside_ == &aside_) undo();
}

void Recorder::Transaction::keep() {
  LASTROW_CHECK(recorder_.aside_ == &aside_, "keep() of a transaction that is not open");
  recorder_.aside_ = nullptr;
}

void Recorder::Transaction::undo() {
  recorder_.aside_ = nullptr;
  recorder_.forget_from(aside_.first_new);
  for (const auto& entry : aside_.steps) recorder_.bytes_ += entry.second.bytes;
  recorder_.steps_.merge(aside_.steps);
  recorder_.kv_.put_back(std::move(aside_.kv));
  recorder_.spec_ = aside_.spec;
  recorder_.next_step_ = aside_.next_step;
  recorder_.truncated_ = aside_.truncated;
}

void Recorder::open_step(const StepPlan& plan, const CacheSpec& spec) {
  const bool latest = options_.keep == RecordOptions::Keep::latest;
  forget_from(latest ? 0 : next_step_);
  if (latest) truncated_ = false;
  if (aside_) aside_->first_new = std::min(aside_->first_new, next_step_);
  spec_ = spec;
  Step& step = steps_[next_step_++];
  step.plan = plan;
  step.bytes = bytes_of(plan);
  bytes_ += step.bytes;
}

std::vector<int32_t> Recorder::steps() const {
  std::vector<int32_t> steps;
  for (const auto& entry : steps_) steps.push_back(entry.first);
  return steps;
}

int32_t Recorder::latest_step() const { return steps_.empty() ? -1 : steps_.rbegin()->first; }

const Recorder::Step& Recorder::at(int32_t step) const {
  const auto it = steps_.find(step);
  if (it == steps_.end())
    throw UsageError("step {} is not recorded, the latest is {}: record with keep = all to keep every step",
                     step, latest_step());
  return it->second;
}

const StepPlan& Recorder::plan(int32_t step) const { return at(step).plan; }
std::span<const Event> Recorder::events(int32_t step) const { return at(step).events; }
std::span<const EvictedRow> Recorder::evicted(int32_t step) const { return at(step).evicted; }

void Recorder::add_evicted(std::span<const EvictedRow> rows) {
  if (rows.empty()) return;
  LASTROW_CHECK(!steps_.empty(), "rows were forgotten before any step");
  const auto n_bytes = static_cast<int64_t>(rows.size_bytes());
  if (!room_for(n_bytes)) return;
  Step& step = steps_.rbegin()->second;
  step.evicted.insert(step.evicted.end(), rows.begin(), rows.end());
  step.bytes += n_bytes;
  bytes_ += n_bytes;
}

std::span<const Recorder::Entry> Recorder::entries(int32_t step) const { return at(step).entries; }

const Tensor* Recorder::find(int32_t step, int32_t layer, std::string_view name, int32_t sequence) const {
  for (const Entry& e : at(step).entries)
    if (e.layer == layer && e.sequence == sequence && e.name == name) return &e.tensor;
  return nullptr;
}

/// Joins the recorded versions of the rows at indices 0 … kv_len − 1. Empty if one of them was not recorded.
Tensor Recorder::assemble(int32_t step, int32_t layer, RowKind kind, int32_t sequence) const {
  const StepPlan& plan = at(step).plan.of_layer(layer);
  const int32_t kv_len = plan.kv_len[sequence];
  std::vector<const Tensor*> found;
  for (int32_t s = 0; s < kv_len; ++s) {
    const Tensor* row = kv_.row(step, layer, kind, slot_of(block_table(plan, sequence), s));
    if (row == nullptr) return {};  // it was not recorded, because of options.layers or max_bytes
    found.push_back(row);
  }
  if (found.empty()) return {};
  Tensor rows = Tensor::host(found[0]->dtype(), {kv_len, found[0]->shape()[0], found[0]->shape()[1]});
  for (int32_t s = 0; s < kv_len; ++s)
    std::memcpy(rows.view().rows(s, 1).raw(), found[s]->view().raw(),
                static_cast<size_t>(found[s]->size_bytes()));
  return rows;
}

/// The logits of one sequence. They are neighbouring rows, because logit_rows is ascending.
ConstTensorView Recorder::sequence_logits(int32_t step, int32_t sequence) const {
  const Tensor* logits = find(step, -1, site::kLmHead);
  if (logits == nullptr) return {};
  const StepPlan& plan = at(step).plan;
  const auto first_row = [&](int32_t token) {
    return std::ranges::lower_bound(plan.logit_rows, token) - plan.logit_rows.begin();
  };
  const auto begin = first_row(plan.q_start[sequence]), end = first_row(plan.q_start[sequence + 1]);
  return logits->view().rows(begin, end - begin);
}

StepTensors Recorder::tensors(int32_t step, int32_t sequence) const {
  const StepPlan& plan = at(step).plan;
  if (sequence < 0 || sequence >= plan.n_seqs())
    throw UsageError("there is no sequence {} in a step of {}: count from 0", sequence, plan.n_seqs());
  const int32_t first = plan.q_start[sequence], q_len = plan.q_len(sequence);
  StepTensors t;
  t.step = step;
  t.tokens.assign(plan.tokens.begin() + first, plan.tokens.begin() + first + q_len);
  t.positions.assign(plan.positions.begin() + first, plan.positions.begin() + first + q_len);
  t.kv_len = plan.kv_len[sequence];

  const auto rows_of = [&](int32_t layer, std::string_view name) -> ConstTensorView {
    const Tensor* tensor = find(step, layer, name);
    return tensor == nullptr ? ConstTensorView{} : tensor->view().rows(first, q_len);
  };
  const auto whole = [&](int32_t layer, std::string_view name) -> ConstTensorView {
    const Tensor* tensor = find(step, layer, name, sequence);
    return tensor == nullptr ? ConstTensorView{} : tensor->view();
  };
  const auto stored = [&](int32_t layer, RowKind kind) -> ConstTensorView {
    const ConstTensorView kept = whole(layer, kind == RowKind::k ? recorded::kK : recorded::kV);
    if (!kept.empty()) return kept;
    Tensor rows = assemble(step, layer, kind, sequence);
    if (rows.empty()) return {};
    t.assembled.push_back(std::move(rows));
    return std::as_const(t.assembled.back()).view();
  };
  for (const char* name : site::kEmbeddings)
    if (find(step, -1, name) != nullptr) t.embedded = rows_of(-1, name);
  for (int32_t layer = 0; layer < spec_.n_layers; ++layer)
    t.layers.push_back({.q = rows_of(layer, recorded::kQ),
                        .k = stored(layer, RowKind::k),
                        .v = stored(layer, RowKind::v),
                        .scores = whole(layer, recorded::kScores),
                        .probs = whole(layer, recorded::kProbs),
                        .out = rows_of(layer, site::kAttend),
                        .lse = rows_of(layer, recorded::kLse),
                        .residual = rows_of(layer, site::kAddFfn)});
  t.logits = sequence_logits(step, sequence);
  return t;
}

double Recorder::now_us() const {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start_).count();
}

bool Recorder::keeps_layer(int32_t layer) const {
  return options_.layers.empty() || std::ranges::find(options_.layers, layer) != options_.layers.end();
}

bool Recorder::keeps_op(std::string_view name) const {
  return std::ranges::any_of(options_.ops, [&](const std::string& op) { return op == "*" || op == name; });
}

bool Recorder::room_for(int64_t n_bytes) {
  if (!truncated_ && bytes() + n_bytes > options_.max_bytes) truncated_ = true;
  return !truncated_;
}

void Recorder::add_event(Event event) {
  LASTROW_CHECK(!steps_.empty(), "an operation before begin_step");
  const int64_t n_bytes = bytes_of(event);
  if (!room_for(n_bytes)) return;
  Step& step = steps_[next_step_ - 1];
  event.step = next_step_ - 1;
  step.events.push_back(std::move(event));
  step.bytes += n_bytes;
  bytes_ += n_bytes;
}

void Recorder::add_tensor(Backend& backend, int32_t layer, std::string_view name, int32_t sequence,
                          ConstTensorView device) {
  const DType dtype = host_dtype(device.dtype());
  if (!room_for(device.size() * static_cast<int64_t>(size_of(dtype)))) return;
  Tensor host = Tensor::host(dtype, device.shape());
  backend.download(device, host.view());
  add_host(layer, name, sequence, std::move(host));
}

void Recorder::add_host(int32_t layer, std::string_view name, int32_t sequence, Tensor tensor) {
  LASTROW_CHECK(!steps_.empty(), "a tensor before begin_step");
  const int64_t n_bytes = tensor.size_bytes() + static_cast<int64_t>(sizeof(Entry));
  if (!room_for(n_bytes)) return;
  Step& step = steps_[next_step_ - 1];
  step.entries.push_back({next_step_ - 1, layer, sequence, std::string(name), std::move(tensor)});
  step.bytes += n_bytes;
  bytes_ += n_bytes;
}

void Recorder::add_rows(int32_t layer, RowKind kind, int32_t sequence, std::span<const int64_t> slots,
                        Tensor rows) {
  if (options_.keep == RecordOptions::Keep::latest)
    return add_host(layer, kind == RowKind::k ? recorded::kK : recorded::kV, sequence, std::move(rows));
  if (room_for(kv_.growth(layer, kind, slots, rows.view())))
    kv_.add(next_step_ - 1, layer, kind, slots, rows.view());
}

}  // namespace lastrow
