// Attention of the CPU reference. The oracle, with the formula, is NaiveBackend::attend_row; what differs
// here: keys are taken tile by tile under an online softmax, the query heads of a group take a tile one after
// the other while its rows are in the processor's cache, and chunks of keys may be computed apart and merged.
#include <Eigen/Core>
#include <algorithm>
#include <iterator>
#include <limits>
#include <vector>

#include "attention/softmax_state.h"
#include "backend/eigen.h"

namespace lastrow {
namespace {

constexpr int32_t kTile = EigenBackend::kTile, kChunk = EigenBackend::kChunk;
using ConstRow = Eigen::Map<const Eigen::ArrayXf>;
using Row = Eigen::Map<Eigen::ArrayXf>;
using ConstVector = Eigen::Map<const Eigen::VectorXf>;
using ConstMatrix = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

/// What one K/V head's storage and one sequence's block table make together: rows by index.
struct HeadRows {
  const float* storage;
  RowLayout layout;
  BlockTable table;
  int32_t g;
  ConstRow row(int32_t s) const {
    return {storage + row_offset(layout, slot_of(table, s), g), layout.head_dim};
  }
};

/// Softmax state and weighted sum of V rows of one query head, in a row: row_max, row_sum, acc [head_dim].
struct Partial {
  float* data;
  int64_t head_dim;
  SoftmaxState<float> state() const { return {data[0], data[1]}; }
  void set_state(SoftmaxState<float> s) const { data[0] = s.row_max, data[1] = s.row_sum; }
  Row acc() const { return {data + 2, head_dim}; }
  void clear() const {
    set_state({});
    acc().setZero();
  }
  void merge(const Partial& other) const {
    SoftmaxState<float> merged = state();
    const auto factor = merged.merge(other.state());
    acc() = acc() * factor.self + other.acc() * factor.other;
    set_state(merged);
  }
};

/// Room for the rows of one tile: on the stack for any usual width, so that steady decode stays off the heap.
class PackedTile {
 public:
  float* room_for(int64_t n_floats) {
    if (n_floats <= static_cast<int64_t>(std::size(small_))) return small_;
    large_.resize(static_cast<size_t>(n_floats));
    return large_.data();
  }

 private:
  alignas(64) float small_[kTile * 256];
  std::vector<float> large_;
};

/// Rows of indices [begin, end) as a matrix [end − begin, head_dim]: in place where they lie in one block,
/// else copied to `packed`. The arithmetic on it is the same, so that block size and order change no bit.
ConstMatrix rows_of_tile(const HeadRows& rows, int32_t begin, int32_t end, PackedTile& packed) {
  const int64_t head_dim = rows.layout.head_dim, n = end - begin;
  if (begin / rows.table.block_len == (end - 1) / rows.table.block_len)
    return {rows.row(begin).data(), n, head_dim};
  float* const room = packed.room_for(n * head_dim);
  for (int32_t s = begin; s < end; ++s) Row(room + (s - begin) * head_dim, head_dim) = rows.row(s);
  return {room, n, head_dim};
}

/// Takes keys [begin, end), which lie within one tile, into the partials of the group's query heads. For each
/// head both sums are a matrix times a vector: scores = K · q, acc += Vᵀ · weights. q [group_size, head_dim]
/// partials [group_size]
void attend_tile(const float* q, int64_t group_size, float scale, const HeadRows& k, const HeadRows& v,
                 int32_t begin, int32_t end, float* partials) {
  PackedTile packed_keys, packed_values;
  const ConstMatrix keys = rows_of_tile(k, begin, end, packed_keys),
                    values = rows_of_tile(v, begin, end, packed_values);
  const int64_t head_dim = k.layout.head_dim;
  const int32_t n = end - begin;
  Eigen::Array<float, kTile, 1> weights, powers;
  for (int64_t j = 0; j < group_size; ++j) {
    const Partial partial{partials + j * (head_dim + 2), head_dim};
    weights.setZero();
    weights.head(n).matrix().noalias() = keys * ConstVector(q + j * head_dim, head_dim);
    weights.head(n) *= scale;

    SoftmaxState<float> state = partial.state();
    const float new_max = std::max(state.row_max, weights.head(n).maxCoeff<Eigen::PropagateNaN>());
    const float factor = SoftmaxState<float>::rescale(state.row_max, new_max);
    weights -= new_max;
    powers = weights.exp();  // a statement of its own: inside select() it is computed one by one
    weights = weights.isNaN().select(weights, powers);  // exp clamps its argument and so loses NaN
    state.row_sum = state.row_sum * factor + weights.head(n).sum();
    state.row_max = new_max;
    partial.set_state(state);

    partial.acc() *= factor;
    partial.acc().matrix().noalias() += values.transpose() * weights.head(n).matrix();
  }
}

/// Keys of [keys.begin, keys.end) that fall into chunk c, tile by tile.
void attend_chunk(const float* q, int64_t group_size, float scale, const HeadRows& k, const HeadRows& v,
                  KeyRange keys, int32_t c, float* partials) {
  for (int64_t j = 0; j < group_size; ++j)
    Partial{partials + j * (k.layout.head_dim + 2), k.layout.head_dim}.clear();
  const int32_t begin = std::max(keys.begin, c * kChunk), end = std::min(keys.end, (c + 1) * kChunk);
  for (int32_t tile = begin / kTile * kTile; tile < end; tile += kTile)
    attend_tile(q, group_size, scale, k, v, std::max(begin, tile), std::min(end, tile + kTile), partials);
}

/// Writes out and lse of one query head from its finished partial.
void finish(const Partial& partial, float* out, float* lse) {
  const SoftmaxState<float> state = partial.state();
  const bool sees_nothing = state.row_max == -std::numeric_limits<float>::infinity() && state.row_sum == 0;
  if (sees_nothing)
    Row(out, partial.head_dim).setZero();
  else
    Row(out, partial.head_dim) = partial.acc() / state.row_sum;
  *lse = sees_nothing ? state.row_max : state.row_max + std::log(state.row_sum);
}

}  // namespace

void EigenBackend::attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                          const AttendSpec& spec, TensorView out, TensorView lse) {
  checks::attend(site, q, storage, batch, out, lse);
  const StepPlan& plan = *batch.plan;
  const RowLayout layout = storage.spec().layout();
  const int64_t n_q_heads = q.dim(1), group_size = n_q_heads / layout.n_kv_heads, head_dim = layout.head_dim;
  const int64_t group_floats = group_size * (head_dim + 2);
  const float* k = storage.rows(site.layer, RowKind::k).data<float>();
  const float* v = storage.rows(site.layer, RowKind::v).data<float>();

  int32_t max_kv_len = 0;
  int64_t cells = 0;
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    max_kv_len = std::max(max_kv_len, plan.kv_len[i]);
    cells += int64_t{plan.q_len(i)} * plan.kv_len[i];
  }
  const int64_t n_chunks = (max_kv_len + kChunk - 1) / kChunk;
  const int64_t n_units = q.dim(0) * layout.n_kv_heads;  // (token, K/V head) pairs
  const bool threads_pay = 4 * cells * n_q_heads * head_dim >= 1'000'000 && pool_.n_threads() > 1;
  const bool share_chunks = threads_pay && n_units < 4 * pool_.n_threads() && n_chunks > 1;
  // Each unit has room for its chunks: all if they are shared out, else the total and the chunk at hand.
  const int64_t slots_per_unit = share_chunks ? n_chunks : 2;
  const auto n_floats = static_cast<size_t>(n_units * slots_per_unit * group_floats);
  if (partials_.size() < n_floats) partials_.resize(std::max(n_floats, 2 * partials_.size()));

  const auto chunk = [&](int64_t unit, int64_t c, float* partials) {
    const int64_t token = unit / layout.n_kv_heads;
    const auto g = static_cast<int32_t>(unit % layout.n_kv_heads);
    int32_t i = 0;  // the token's sequence
    while (plan.q_start[i + 1] <= token) ++i;
    const BlockTable table = block_table(batch, i);
    const KeyRange keys =
        visible_keys(spec.mask, plan.q_len(i), plan.kv_len[i], static_cast<int32_t>(token) - plan.q_start[i]);
    attend_chunk(q.data<float>() + (token * n_q_heads + g * group_size) * head_dim, group_size, spec.scale,
                 {k, layout, table, g}, {v, layout, table, g}, keys, static_cast<int32_t>(c), partials);
  };
  const auto merge = [&](float* total, const float* next) {
    for (int64_t j = 0; j < group_size; ++j)
      Partial{total + j * (head_dim + 2), head_dim}.merge(
          {const_cast<float*>(next) + j * (head_dim + 2), head_dim});
  };
  const auto finish_unit = [&](int64_t unit, float* total) {
    const int64_t head = unit / layout.n_kv_heads * n_q_heads + unit % layout.n_kv_heads * group_size;
    for (int64_t j = 0; j < group_size; ++j)
      finish({total + j * (head_dim + 2), head_dim}, out.data<float>() + (head + j) * head_dim,
             lse.data<float>() + head + j);
  };
  const auto unit_partials = [&](int64_t unit, int64_t slot) {
    return partials_.data() + (unit * slots_per_unit + slot) * group_floats;
  };

  if (share_chunks) {
    pool_.for_each(n_units * n_chunks, [&](int64_t item) {
      chunk(item / n_chunks, item % n_chunks, unit_partials(item / n_chunks, item % n_chunks));
    });
    for (int64_t unit = 0; unit < n_units; ++unit) {
      for (int64_t c = 1; c < n_chunks; ++c) merge(unit_partials(unit, 0), unit_partials(unit, c));
      finish_unit(unit, unit_partials(unit, 0));
    }
    return;
  }
  const auto whole_unit = [&](int64_t unit) {
    chunk(unit, 0, unit_partials(unit, 0));
    for (int64_t c = 1; c < n_chunks; ++c) {
      chunk(unit, c, unit_partials(unit, 1));
      merge(unit_partials(unit, 0), unit_partials(unit, 1));
    }
    finish_unit(unit, unit_partials(unit, 0));
  };
  if (threads_pay) {
    pool_.for_each(n_units, whole_unit);
  } else {
    for (int64_t unit = 0; unit < n_units; ++unit) whole_unit(unit);
  }
}

void EigenBackend::probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                         const AttendSpec& spec, ConstTensorView lse, const ProbeSelection& selection,
                         TensorView scores, TensorView probs) {
  const int32_t i = checks::probe(site, q, storage, batch, lse, selection, scores, probs);
  const RowLayout layout = storage.spec().layout();
  const int64_t n_q_heads = q.dim(1), group_size = n_q_heads / layout.n_kv_heads;
  const int32_t kv_len = batch.plan->kv_len[i];
  float *score = scores.data<float>(), *prob = probs.data<float>();
  std::fill_n(score, scores.size(), -std::numeric_limits<float>::infinity());
  std::fill_n(prob, probs.size(), 0.0f);
  for (int32_t h = selection.first_head; h < selection.first_head + selection.n_heads; ++h) {
    const HeadRows k{storage.rows(site.layer, RowKind::k).data<float>(), layout, block_table(batch, i),
                     static_cast<int32_t>(h / group_size)};
    for (int32_t t = selection.first_row; t < selection.first_row + selection.n_rows;
         ++t, score += kv_len, prob += kv_len) {
      const ConstRow query(q.data<float>() + (t * n_q_heads + h) * layout.head_dim, layout.head_dim);
      const float row_lse = lse.data<float>()[t * n_q_heads + h];
      const KeyRange keys = visible_keys(spec.mask, batch.plan->q_len(i), kv_len, t - batch.plan->q_start[i]);
      for (int32_t s = keys.begin; s < keys.end; ++s) {
        score[s] = spec.scale * (query * k.row(s)).sum();
        prob[s] = std::exp(score[s] - row_lse);
      }
    }
  }
}

}  // namespace lastrow
