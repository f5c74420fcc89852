#include "viewer/view_model/run/step_watch.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <utility>

#include "cache/slots.h"
#include "viewer/view_model/describe/held_rows.h"

namespace lastrow::view {

namespace {

constexpr int64_t kSampleRows = 64;

Floats download(Backend& backend, ConstTensorView from) {
  Floats to(from.size());
  backend.download(from, TensorView(to.own(), from.shape()));
  return to;
}

Floats read_rows(Backend& backend, const Attend& op, RowKind kind, int32_t first, int32_t end) {
  const CacheSpec& cache = op.storage.spec();
  const Shape shape{end - first, cache.n_kv_heads, cache.head_dim};
  const std::vector<int64_t> slots = slots_of(*op.batch.plan, 0, first, end);
  Floats to(shape.size());
  backend.read_rows(op.storage, op.site.layer, kind, slots, TensorView(to.own(), shape));
  return to;
}

/// The keys that the attend reads. If they were rotated for this step, these, not the stored ones.
Floats read_keys(Backend& backend, const Attend& op) {
  const int32_t kv_len = op.batch.plan->kv_len[0];
  if (op.keys.empty()) return read_rows(backend, op, RowKind::k, 0, kv_len);
  const CacheSpec& cache = op.storage.spec();
  const Floats rotated = download(backend, op.keys);
  const std::vector<int64_t> slots = slots_of(*op.batch.plan, 0, 0, kv_len);
  Floats to(int64_t{kv_len} * cache.n_kv_heads * cache.head_dim);
  float* row = to.own();
  for (const int64_t slot : slots)
    for (int32_t g = 0; g < cache.n_kv_heads; ++g, row += cache.head_dim)
      std::copy_n(rotated.data() + row_offset(cache.layout(), slot, g), cache.head_dim, row);
  return to;
}

/// Where the row at each index is, as the cache planned it.
std::vector<PlacedRow> placed_rows(const StepPlan& plan) {
  const std::vector<int64_t> slots = slots_of(plan, 0, 0, plan.kv_len[0]);
  std::vector<PlacedRow> rows;
  for (int32_t index = 0; index < plan.kv_len[0]; ++index) {
    const auto i = static_cast<size_t>(index);
    rows.push_back({plan.key_positions.empty() ? index : plan.key_positions[i], slots[i],
                    plan.uses_new_positions() ? plan.new_key_positions[i] : -1});
  }
  return rows;
}

/// Takes over the keys of a pass into those of all passes, which are by position.
void join_keys(const std::vector<PlacedRow>& pass, std::vector<PlacedRow>& all) {
  all.resize(static_cast<size_t>(pass.back().position) + 1);
  for (const PlacedRow& key : pass) all[static_cast<size_t>(key.position)] = key;
}

/// From columns in the order of indices to columns in the order of positions.
Floats by_position(const Floats& by_index, const std::vector<PlacedRow>& keys, float elsewhere) {
  const int64_t n_keys = static_cast<int64_t>(keys.size()), n_tokens = keys.back().position + 1;
  if (n_keys == n_tokens) return by_index;  // every position has its row
  const int64_t n_rows = static_cast<int64_t>(by_index.size()) / n_keys;
  Floats out(n_rows * n_tokens);
  to_positions(by_index.data(), n_rows, keys, n_tokens, elsewhere, out.own());
  return out;
}

/// Scores and probs [n_q_heads, n_rows, kv_len] of the rows first_row …
std::pair<Floats, Floats> probe(Backend& backend, const Attend& op, int32_t first_row, int32_t n_rows) {
  const auto n_q_heads = static_cast<int32_t>(op.q.dim(1));
  const Shape shape{n_q_heads, n_rows, op.batch.plan->kv_len[0]};
  Tensor scores = backend.make_tensor(shape), probs = backend.make_tensor(shape);
  backend.run(Probe{.site = op.site,
                    .q = op.q,
                    .storage = op.storage,
                    .batch = op.batch,
                    .spec = op.spec,
                    .lse = op.lse,
                    .selection = {0, n_q_heads, first_row, n_rows},
                    .scores = scores,
                    .probs = probs,
                    .keys = op.keys});
  return {download(backend, scores.view()), download(backend, probs.view())};
}

}  // namespace

void StepWatch::begin_step() {
  layers_.clear();
  samples_.clear();
  specs_.clear();
  passes_.clear();
  keys_ = joined_keys_ = {};
  new_positions_.clear();
  reads_ = {};
  own_us_ = 0;
}

/// Layers 0 and 1 stand for all: each other layer has the same rows as one of them, and the same mask.
void StepWatch::note_keys(const Attend& op) {
  if (op.site.layer > 1) return;
  const StepPlan& plan = *op.batch.plan;
  windowed_ = op.storage.spec().windowed;
  const int32_t first = plan.positions.front();
  if (op.site.layer == 0 && plan.uses_new_positions()) new_positions_.push_back(plan.new_positions.front());
  auto& keys = keys_[windowed_.has(op.site.layer) ? 1 : 0];
  keys = placed_rows(plan);
  AttendRead& read = reads_[static_cast<size_t>(op.site.layer)];
  if (joins_passes) {
    join_keys(keys, joined_keys_[windowed_.has(op.site.layer) ? 1 : 0]);
    read = {first + 1, first + 1, op.spec.mask, nullptr};
    return;
  }
  first_position_ = first;
  read = {plan.q_len(0), plan.kv_len[0], op.spec.mask, nullptr};
  if (keys.back().position >= plan.kv_len[0])
    read.keys = std::make_shared<const std::vector<PlacedRow>>(keys);
}

void StepWatch::see(Backend& backend, const Attend& op) {
  const auto start = std::chrono::steady_clock::now();
  const StepPlan& plan = *op.batch.plan;
  const int32_t first = plan.positions.front();
  if (op.site.layer == 0 && (!joins_passes || first == 0)) begin_step();
  note_keys(op);
  if (std::ssize(specs_) <= op.site.layer) specs_.push_back(op.spec);
  if (joins_passes)
    passes_.add(op.site.layer, copy(backend, op), keys(op.site.layer), first);
  else
    take_layer(backend, op);
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  own_us_ += took.count();
}

void StepWatch::take_layer(Backend& backend, const Attend& op) {
  const StepPlan& plan = *op.batch.plan;
  layers_.push_back(copy(backend, op));
  samples_.emplace_back();
  if (keep.rows && !layers_.back().recorded) {
    LayerData& sample = samples_.back();
    const int64_t n_rows = std::min<int64_t>(kSampleRows, plan.q_len(0));
    const int32_t kv_len = plan.kv_len[0], first = std::max<int32_t>(0, kv_len - kSampleRows);
    sample.q = download(backend, op.q.rows(plan.q_len(0) - n_rows, n_rows));
    sample.out = download(backend, ConstTensorView(op.out).rows(plan.q_len(0) - n_rows, n_rows));
    sample.k = read_rows(backend, op, RowKind::k, first, kv_len);
    sample.v = read_rows(backend, op, RowKind::v, first, kv_len);
  }
}

LayerData StepWatch::copy(Backend& backend, const Attend& op) const {
  const int32_t q_len = op.batch.plan->q_len(0), kv_len = op.batch.plan->kv_len[0];
  LayerData l;
  l.mask = op.spec.mask;
  if (keep.rows && (keep.layer < 0 || keep.layer == op.site.layer)) {
    l.q = download(backend, op.q);
    l.out = download(backend, op.out);
    l.lse = download(backend, op.lse);
    l.k = read_keys(backend, op);
    if (!op.keys.empty()) l.stored_k = read_rows(backend, op, RowKind::k, 0, kv_len);
    l.v = read_rows(backend, op, RowKind::v, 0, kv_len);
    l.recorded = true;
  }
  if (keep.matrices)
    std::tie(l.scores, l.probs) = probe(backend, op, 0, q_len);
  else if (keep.last_rows)
    std::tie(l.last_scores, l.last_probs) = probe(backend, op, q_len - 1, 1);
  for (Floats* scores : {&l.scores, &l.last_scores})
    if (!scores->empty())
      *scores = by_position(*scores, keys(op.site.layer), -std::numeric_limits<float>::infinity());
  for (Floats* probs : {&l.probs, &l.last_probs})
    if (!probs->empty()) *probs = by_position(*probs, keys(op.site.layer), 0);
  return l;
}

SideData StepWatch::take(const DecodeSession& session) {
  SideData side;
  side.q_len = session.record().q_len;
  side.first_position = first_position_;
  side.logits.assign(session.logits().begin(), session.logits().end());
  side.next_token = session.next_token();
  side.record = session.record();
  side.wall_us = std::max(0.0, session.record().wall_us - own_us_);
  for (size_t i = 0; i < session.pokes().size(); ++i) side.reports.push_back(session.poke_report(i));
  side.windowed = windowed_;
  for (int32_t group = 0; group < session.cache().spec().n_groups(); ++group) {
    HeldRows& rows = side.groups.emplace_back();
    rows.keys = (joins_passes ? joined_keys_ : keys_)[static_cast<size_t>(group)];
    if (session.mode() == Mode::recompute) continue;
    const KvCache& cache = session.cache().group(group);
    for (int32_t i = 0; i < cache.length(0); ++i)
      rows.kept.push_back({cache.position_of(0, i), cache.slot(0, i)});
    rows.evicted.assign(cache.evicted().begin(), cache.evicted().end());
  }
  side.new_positions = new_positions_;
  const int n_layers = session.model().config().n_layers;
  side.layers = joins_passes ? passes_.take_layers(n_layers) : std::exchange(layers_, {});
  side.layers.resize(static_cast<size_t>(n_layers));
  return side;
}

}  // namespace lastrow::view
