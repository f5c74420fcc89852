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
#include "backend/probe_row.h"
#include "backend/row_sums.h"
#include "backend/tile_rows.h"
#include "core/stop.h"

namespace lastrow {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr int32_t kTile = EigenBackend::kTile, kChunk = EigenBackend::kChunk;
using ConstRow = Eigen::Map<const Eigen::ArrayXf>;
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

/// What makes scores from the products q · k of one token and one K/V head.
struct Scores {
  const ScoreRule& rule;
  int32_t first_head;  // of the group
  KeyDistances distance;

  /// x [n]: the products of head first_head + j with the keys begin, begin + 1, …; they become scores.
  void finish(float* x, int32_t begin, int32_t n, int32_t j) const {
    Row(x, n) *= rule.query_factor();
    if (rule.only_scales()) return;
    const float slope = rule.slope(first_head + j);
    for (int32_t i = 0; i < n; ++i) x[i] = rule.finish(x[i], slope, distance(begin + i));
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

void EigenBackend::probe(const Probe& op) {
  const int32_t i = op.sequence();
  const auto& [first_head, n_heads, first_row, n_rows] = op.selection;
  const RowLayout layout = op.storage.spec().layout();
  const int64_t n_q_heads = op.q.dim(1), group_size = n_q_heads / layout.n_kv_heads;
  const int32_t kv_len = op.batch.plan->kv_len[i];
  const LayerRows keys_of_layer = LayerRows::keys_of(op);
  std::vector<float> room(static_cast<size_t>(layout.head_dim));
  float *score = op.scores.data<float>(), *prob = op.probs.data<float>();
  std::fill_n(score, op.scores.size(), kMinusInfinity);
  int64_t n_done = 0;  // rows so far
  for (int32_t h = first_head; h < first_head + n_heads; ++h) {
    const HeadRows k = keys_of_layer.of(block_table(op.batch, i), static_cast<int32_t>(h / group_size));
    for (int32_t t = first_row; t < first_row + n_rows; ++t, score += kv_len, prob += kv_len) {
      stop_if_asked();
      const ConstRow query(op.q.data<float>() + (t * n_q_heads + h) * layout.head_dim, layout.head_dim);
      const VisibleKeys keys =
          visible_keys(op.spec.mask, op.batch.plan->q_len(i), kv_len, t - op.batch.plan->q_start[i]);
      const Scores scores{op.spec.score, h, {op.batch, i, t}};
      for (int32_t n = 0; n < keys.count(); ++n) {
        const int32_t s = keys.index(n);
        score[s] = (query * ConstRow(k.row(s, room.data()), layout.head_dim)).sum();
        scores.finish(score + s, s, 1, 0);
      }
      const float written = op.lse.data<float>()[t * n_q_heads + h];
      const float distance = softmax_of_scores(score, kv_len, keys, written, prob);
      if (!op.lse_distance.empty()) op.lse_distance.data<float>()[n_done] = distance;
      ++n_done;
    }
  }
}

namespace {

/// Adds the softmax weights of one sequence and one K/V head to mass [keys_per_seq], for the keys of one tile.
/// The rows of the tile are fetched once for all queries and heads.
void add_mass_of_tile(const ScoreMass& op, const HeadRows& k, int32_t i, int32_t begin, int32_t end,
                      float* mass) {
  const StepPlan& plan = *op.batch.plan;
  const int64_t n_q_heads = op.q.dim(1), head_dim = op.q.dim(2), group_size = n_q_heads / k.layout.n_kv_heads;
  const auto first_head = static_cast<int32_t>(k.g * group_size);
  FloatRoom room;
  const float* const* keys = room.floats(TileRows(k, begin, end));
  Eigen::Array<float, kTile, 1> weights;
  for (int32_t t = plan.q_start[i]; t < plan.q_start[i + 1]; ++t) {
    const VisibleKeys seen = visible_keys(op.spec.mask, plan.q_len(i), plan.kv_len[i], t - plan.q_start[i]);
    const Scores scores{op.spec.score, first_head, {op.batch, i, t}};
    for (const KeyRange range : {seen.range(0), seen.range(1)}) {
      const int32_t first = std::max(range.begin, begin), n = std::min(range.end, end) - first;
      if (n <= 0) continue;
      for (int64_t j = 0; j < group_size; ++j) {
        const int64_t head = t * n_q_heads + first_head + j;
        const float lse = op.lse.data<float>()[head];
        if (lse == kMinusInfinity) continue;  // it sees no key
        weights.setZero();
        dot_rows(keys + (first - begin), n, op.q.data<float>() + head * head_dim, head_dim, weights.data());
        scores.finish(weights.data(), first, n, static_cast<int32_t>(j));
        weights = (weights - lse).exp();  // NaN stays NaN
        Row(mass + first, n) += (weights > 1.0f).select(1.0f, weights).head(n);
      }
    }
  }
}

}  // namespace

/// Threads share the tiles. A tile has its own elements of mass, and the order of every sum is fixed.
void EigenBackend::score_mass(const ScoreMass& op) {
  const StepPlan& plan = *op.batch.plan;
  const LayerRows rows(op.storage, op.site.layer, RowKind::k);
  std::fill_n(op.mass.data<float>(), op.mass.size(), 0.0f);
  int64_t n_cells = 0;
  int32_t longest = 0;
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    n_cells += int64_t{plan.q_len(i)} * plan.kv_len[i];
    longest = std::max(longest, plan.kv_len[i]);
  }
  const int64_t n_tiles = (longest + kTile - 1) / kTile;
  const auto tile = [&](int64_t item) {
    const auto i = static_cast<int32_t>(item / n_tiles), begin = static_cast<int32_t>(item % n_tiles) * kTile;
    const int32_t end = std::min(begin + kTile, plan.kv_len[i]);
    if (begin >= end) return;
    for (int32_t g = 0; g < rows.layout.n_kv_heads; ++g)
      add_mass_of_tile(op, rows.of(block_table(op.batch, i), g), i, begin, end,
                       op.mass.data<float>() + int64_t{i} * plan.keys_per_seq());
  };
  const int64_t n_items = plan.n_seqs() * n_tiles;
  if (2 * n_cells * op.q.dim(1) * op.q.dim(2) >= 1'000'000) {
    pool_.for_each(n_items, tile);
  } else {
    for (int64_t item = 0; item < n_items; ++item) {
      stop_if_asked();
      tile(item);
    }
  }
}

}  // namespace lastrow
