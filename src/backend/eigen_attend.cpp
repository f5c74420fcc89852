// Attention of the CPU reference. NaiveBackend::attend_row is the oracle and has the formula. The
// differences:
//   * Keys are taken tile by tile, with an online softmax.
//   * All query heads of a group use a tile while its rows are in the processor's cache, so each row comes from
//     memory once. Meanwhile the next rows are prefetched.
//   * The sums are made in vector registers (vector_rows.h), or by the clear text of row_sums.h.
//   * Chunks of keys may be computed by different threads and are then merged.
#include <Eigen/Core>
#include <algorithm>
#include <limits>

#include "attention/softmax_state.h"
#include "backend/eigen.h"
#include "backend/eigen_scores.h"
#include "backend/row_sums.h"
#include "backend/tile_rows.h"
#include "core/stop.h"

namespace lastrow {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr int32_t kTile = EigenBackend::kTile, kChunk = EigenBackend::kChunk;
using Row = Eigen::Map<Eigen::ArrayXf>;

/// Softmax state and weighted sum of V rows of one query head. In memory: row_max, row_sum, acc [head_dim].
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

/// The query heads of one token that share a K/V head. Their partials are [n_heads] of [head_dim + 2].
struct Group {
  const float* q;  // [n_heads, head_dim]
  int64_t n_heads, head_dim;
  Scores scores;
  float* partials;
  bool in_registers;  // sums by vector_rows, else by row_sums.h

  Partial partial(int64_t j) const { return {partials + j * (head_dim + 2), head_dim}; }

  /// scores[j, i] = row i of the tile · q of head first + j
  void dot(const TileRows& tile, int64_t first, int64_t count, float* scores_of_heads,
           const TileRows& next) const {
    const float* from = q + first * head_dim;
    if (in_registers) return vector_rows::dot(tile.view(), from, count, scores_of_heads, kTile, next.view());
    FloatRoom room;
    const float* const* rows = room.floats(tile);
    for (int64_t j = 0; j < count; ++j)
      dot_rows(rows, tile.n(), from + j * head_dim, head_dim, scores_of_heads + j * kTile);
  }
  /// acc[first + j] = acc[first + j] · factors[j] + Σ_i weights[j, i] row i of the tile
  void add(const TileRows& tile, int64_t first, int64_t count, const float* weights, const float* factors,
           const TileRows& next) const {
    if (in_registers)
      return vector_rows::add(tile.view(), weights, kTile, factors, count, partial(first).acc().data(),
                              head_dim + 2, next.view());
    FloatRoom room;
    const float* const* rows = room.floats(tile);
    for (int64_t j = 0; j < count; ++j) {
      partial(first + j).acc() *= factors[j];
      add_rows(rows, tile.n(), weights + j * kTile, head_dim, partial(first + j).acc().data());
    }
  }
};

/// Adds n scores to the state. They become the weights exp(score − maximum), and x [kTile] is 0 behind them.
/// Returns the factor for the sum of V rows so far.
float weights_of(float* x, int32_t n, SoftmaxState<float>& state) {
  Eigen::Map<Eigen::Array<float, kTile, 1>, Eigen::Aligned64> weights(x);
  weights.tail(kTile - n).setConstant(kMinusInfinity);
  const float tile_max = weights.maxCoeff<Eigen::PropagateNaN>();
  const float new_max = std::max(state.row_max, tile_max);
  if (new_max == kMinusInfinity && tile_max == kMinusInfinity) {  // no key is visible so far
    weights.setZero();
    return 1;
  }
  const float factor = SoftmaxState<float>::rescale(state.row_max, new_max);
  weights = (weights - new_max).exp();  // NaN stays NaN, also in vector code
  weights.tail(kTile - n).setZero();
  state.row_sum = state.row_sum * factor + weights.sum();
  state.row_max = new_max;
  return factor;
}

/// Adds the keys of one tile, from index `begin` on, to the partials of the group: scores = K · q, and then
/// acc += Vᵀ · weights. It does not matter where the rows are stored. `next` is needed after this tile.
void attend_tile(const Group& group, const TileRows& keys, const TileRows& values, int32_t begin,
                 const TileRows& next) {
  constexpr int64_t kMostHeads = 32;  // at once; a larger group takes several passes over the tile
  alignas(64) float weights[kMostHeads * kTile];
  float factors[kMostHeads];
  const int32_t n = keys.n();
  for (int64_t first = 0; first < group.n_heads; first += kMostHeads) {
    const int64_t count = std::min(kMostHeads, group.n_heads - first);
    group.dot(keys, first, count, weights, values);
    for (int64_t j = 0; j < count; ++j) {
      float* x = weights + j * kTile;
      group.scores.finish(x, begin, n, static_cast<int32_t>(first + j));
      SoftmaxState<float> state = group.partial(first + j).state();
      factors[j] = weights_of(x, n, state);
      group.partial(first + j).set_state(state);
    }
    group.add(values, first, count, weights, factors, next);
    for (int64_t j = 0; j < count; ++j)  // 0 · V is NaN if V is
      if (group.partial(first + j).state().row_max == kMinusInfinity)
        group.partial(first + j).acc().setZero();
  }
}

/// The visible keys of one chunk, tile by tile. A tile with sinks and with keys of the window appears twice.
struct Tiles {
  KeyRange ranges[kChunk / kTile + 1];
  int32_t n = 0;

  Tiles(VisibleKeys keys, int32_t c) {
    for (const KeyRange range : {keys.range(0), keys.range(1)}) {
      const int32_t begin = std::max(range.begin, c * kChunk), end = std::min(range.end, (c + 1) * kChunk);
      for (int32_t tile = begin / kTile * kTile; tile < end; tile += kTile)
        ranges[n++] = {std::max(begin, tile), std::min(end, tile + kTile)};
    }
  }
};

/// Computes the partials of chunk c: its visible keys, tile by tile. If the next chunk follows on the same
/// thread, its first rows are prefetched.
void attend_chunk(const Group& group, const HeadRows& k, const HeadRows& v, VisibleKeys keys, int32_t c,
                  bool next_follows) {
  for (int64_t j = 0; j < group.n_heads; ++j) group.partial(j).clear();
  const Tiles tiles(keys, c), then(keys, next_follows ? c + 1 : c);
  TileRows keys_of[2];  // of this tile and of the next one, in turn
  const auto rows = [](const HeadRows& head, KeyRange range) {
    return TileRows(head, range.begin, range.end);
  };
  if (tiles.n > 0) keys_of[0] = rows(k, tiles.ranges[0]);
  for (int32_t i = 0; i < tiles.n; ++i) {
    TileRows& next = keys_of[(i + 1) % 2];
    if (i + 1 < tiles.n)
      next = rows(k, tiles.ranges[i + 1]);
    else
      next = next_follows && then.n > 0 ? rows(k, then.ranges[0]) : TileRows();
    attend_tile(group, keys_of[i % 2], rows(v, tiles.ranges[i]), tiles.ranges[i].begin, next);
  }
}

/// Writes out and lse of one query head from its complete partial.
void finish(const Partial& partial, float* out, float* lse) {
  const SoftmaxState<float> state = partial.state();
  const bool sees_nothing = state.row_max == kMinusInfinity && state.row_sum == 0;
  if (sees_nothing)
    Row(out, partial.head_dim).setZero();
  else
    Row(out, partial.head_dim) = partial.acc() / state.row_sum;
  *lse = sees_nothing ? state.row_max : state.row_max + std::log(state.row_sum);
}

/// One call of attend, split into units. A unit is one (token, K/V head): the group_size query heads of the
/// token that share the K/V head. The keys of a unit come in chunks.
struct AttendJob {
  ConstTensorView q;  // [n_tokens, n_q_heads, head_dim]
  const Batch& batch;
  AttendSpec spec;
  TensorView out, lse;
  LayerRows k, v;
  int64_t n_kv_heads, group_size, head_dim;
  bool in_registers;
  int64_t rooms_per_unit = 2;  // partials of a unit
  float* partials = nullptr;   // [n_units, rooms_per_unit, group_size, head_dim + 2]

  AttendJob(const Attend& op, bool sums_in_registers)
      : q(op.q),
        batch(op.batch),
        spec(op.spec),
        out(op.out),
        lse(op.lse),
        k(LayerRows::keys_of(op)),
        v(op.storage, op.site.layer, RowKind::v),
        n_kv_heads(op.storage.spec().n_kv_heads),
        group_size(op.q.dim(1) / n_kv_heads),
        head_dim(op.q.dim(2)),
        in_registers(sums_in_registers && head_dim <= vector_rows::kMostHeadDim) {}

  int64_t n_units() const { return q.dim(0) * n_kv_heads; }
  int64_t n_chunks() const {
    int32_t longest = 0;
    for (const int32_t kv_len : batch.plan->kv_len) longest = std::max(longest, kv_len);
    return (longest + kChunk - 1) / kChunk;
  }
  /// The number of scores of all query heads, including masked ones.
  int64_t n_cells() const {
    int64_t cells = 0;
    for (int32_t i = 0; i < batch.plan->n_seqs(); ++i)
      cells += int64_t{batch.plan->q_len(i)} * batch.plan->kv_len[i];
    return cells * q.dim(1);
  }
  int64_t group_floats() const { return group_size * (head_dim + 2); }
  int64_t partial_floats() const { return n_units() * rooms_per_unit * group_floats(); }
  float* room(int64_t unit, int64_t i) const {
    return partials + (unit * rooms_per_unit + i) * group_floats();
  }

  /// Computes chunk c into room i.
  void chunk(int64_t unit, int64_t c, int64_t i, bool next_follows) const {
    const StepPlan& plan = *batch.plan;
    const auto token = static_cast<int32_t>(unit / n_kv_heads);
    const auto g = static_cast<int32_t>(unit % n_kv_heads);
    int32_t sequence = 0;
    while (plan.q_start[sequence + 1] <= token) ++sequence;
    const BlockTable table = block_table(batch, sequence);
    const VisibleKeys keys =
        visible_keys(spec.mask, plan.q_len(sequence), plan.kv_len[sequence], token - plan.q_start[sequence]);
    const auto first_head = static_cast<int32_t>(g * group_size);
    attend_chunk({.q = q.data<float>() + (token * q.dim(1) + first_head) * head_dim,
                  .n_heads = group_size,
                  .head_dim = head_dim,
                  .scores = {spec.score, first_head, {batch, sequence, token}},
                  .partials = room(unit, i),
                  .in_registers = in_registers},
                 k.of(table, g), v.of(table, g), keys, static_cast<int32_t>(c), next_follows);
  }

  /// Merges room i into room 0.
  void merge(int64_t unit, int64_t i) const {
    for (int64_t at = 0; at < group_floats(); at += head_dim + 2)
      Partial{room(unit, 0) + at, head_dim}.merge({room(unit, i) + at, head_dim});
  }

  /// Writes out and lse from room 0.
  void write(int64_t unit) const {
    const int64_t head = unit / n_kv_heads * q.dim(1) + unit % n_kv_heads * group_size;
    for (int64_t j = 0; j < group_size; ++j)
      finish({room(unit, 0) + j * (head_dim + 2), head_dim}, out.data<float>() + (head + j) * head_dim,
             lse.data<float>() + head + j);
  }

  /// Computes all n chunks of a unit, one after the other, and writes the results.
  void whole(int64_t unit, int64_t n) const {
    chunk(unit, 0, 0, n > 1);
    for (int64_t c = 1; c < n; ++c) {
      chunk(unit, c, 1, c + 1 < n);
      merge(unit, 1);
    }
    write(unit);
  }
};

}  // namespace

void EigenBackend::attend(const Attend& op) {
  AttendJob job(op, in_registers_);
  const int64_t n_units = job.n_units(), n_chunks = job.n_chunks();
  const bool threads_pay = 4 * job.n_cells() * job.head_dim >= 1'000'000 && pool_.n_threads() > 1;
  const bool share_chunks = threads_pay && n_units < 4 * pool_.n_threads() && n_chunks > 1;
  // If threads share the chunks of a unit, each chunk has its own room. Else a unit has two rooms: one for
  // the total, one for the current chunk.
  if (share_chunks) job.rooms_per_unit = n_chunks;
  const auto n_floats = static_cast<size_t>(job.partial_floats());
  if (partials_.size() < n_floats) partials_.resize(std::max(n_floats, 2 * partials_.size()));
  job.partials = partials_.data();

  if (share_chunks) {
    pool_.for_each(n_units * n_chunks, [&](int64_t item) {
      job.chunk(item / n_chunks, item % n_chunks, item % n_chunks, false);
    });
    for (int64_t unit = 0; unit < n_units; ++unit) {
      for (int64_t c = 1; c < n_chunks; ++c) job.merge(unit, c);
      job.write(unit);
    }
  } else if (threads_pay) {
    pool_.for_each(n_units, [&](int64_t unit) { job.whole(unit, n_chunks); });
  } else {
    for (int64_t unit = 0; unit < n_units; ++unit) {
      stop_if_asked();
      job.whole(unit, n_chunks);
    }
  }
}

}  // namespace lastrow
