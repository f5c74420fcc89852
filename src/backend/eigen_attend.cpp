// Attention of the CPU reference. NaiveBackend::attend_row is the oracle and has the formula. The
// differences:
//   * Keys are taken tile by tile, with an online softmax.
//   * All query heads of a group use a tile one after the other, while its rows are in the processor's cache.
//   * Chunks of keys may be computed by different threads and are then merged.
#include <Eigen/Core>
#include <algorithm>
#include <iterator>
#include <limits>
#include <vector>

#include "attention/softmax_state.h"
#include "backend/eigen.h"
#include "backend/kv_rows.h"
#include "backend/probe_row.h"
#include "backend/row_sums.h"
#include "core/stop.h"

namespace lastrow {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr int32_t kTile = EigenBackend::kTile, kChunk = EigenBackend::kChunk;
using ConstRow = Eigen::Map<const Eigen::ArrayXf>;
using Row = Eigen::Map<Eigen::ArrayXf>;

/// The rows of one K/V head of one sequence, by index.
struct HeadRows {
  const float* storage;  // nullptr if rows are encoded
  const EncodedRows& encoded;
  RowLayout layout;
  BlockTable table;
  int32_t g;
  /// The row [head_dim] at index s. Points into the storage; if rows are encoded, decodes it to `room` first.
  const float* row(int32_t s, float* room) const {
    if (storage != nullptr) return storage + row_offset(layout, slot_of(table, s), g);
    encoded.decode(slot_of(table, s), g, room);
    return room;
  }
};

/// K or V of one layer.
struct LayerRows {
  LayerRows(const KvStorage& kv, int32_t layer, RowKind kind)
      : encoded(kv, layer, kind),
        storage(encoded.encoded() ? nullptr : kv.rows(layer, kind).data<float>()),
        layout(kv.spec().layout()) {}
  HeadRows of(BlockTable table, int32_t g) const { return {storage, encoded, layout, table, g}; }

  EncodedRows encoded;
  const float* storage;
  RowLayout layout;
};

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

/// The rows of one tile, by pointers: into the storage, or if they are encoded, into a decoded copy. The copy
/// is on the stack for head_dim ≤ 256, so decode allocates nothing.
class TileRows {
 public:
  /// The rows at indices [begin, end).
  TileRows(const HeadRows& rows, int32_t begin, int32_t end) {
    const int64_t head_dim = rows.layout.head_dim;
    if (rows.storage == nullptr) {
      float* place = room_for((end - begin) * head_dim);
      for (int32_t s = begin; s < end; ++s, place += head_dim) pointers_[s - begin] = rows.row(s, place);
      return;
    }
    for (int32_t s = begin; s < end;) {
      const float* row = rows.row(s, nullptr);
      const int32_t n_here = std::min(end - s, run_from(rows.table, s));  // the rest of this block
      for (int32_t i = 0; i < n_here; ++i, ++s, row += head_dim) pointers_[s - begin] = row;
    }
  }
  const float* const* pointers() const { return pointers_; }

 private:
  float* room_for(int64_t n_floats) {
    if (n_floats <= static_cast<int64_t>(std::size(small_))) return small_;
    large_.resize(static_cast<size_t>(n_floats));
    return large_.data();
  }

  const float* pointers_[kTile];  // [end − begin] are set
  alignas(64) float small_[kTile * 256];
  std::vector<float> large_;
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

/// Adds keys [begin, end), which are in one tile, to the partials of the group's query heads. For each head
/// scores = K · q and acc += Vᵀ · weights (row_sums.h). It does not matter where the rows are stored.
///   q [group_size, head_dim]   partials [group_size]
void attend_tile(const float* q, int64_t group_size, const Scores& scores, const HeadRows& k,
                 const HeadRows& v, int32_t begin, int32_t end, float* partials) {
  const TileRows keys(k, begin, end), values(v, begin, end);
  const int64_t head_dim = k.layout.head_dim;
  const int32_t n = end - begin;
  Eigen::Array<float, kTile, 1> weights;
  for (int64_t j = 0; j < group_size; ++j) {
    const Partial partial{partials + j * (head_dim + 2), head_dim};
    weights.setZero();
    dot_rows(keys.pointers(), n, q + j * head_dim, head_dim, weights.data());
    scores.finish(weights.data(), begin, n, static_cast<int32_t>(j));

    SoftmaxState<float> state = partial.state();
    const float tile_max = weights.head(n).maxCoeff<Eigen::PropagateNaN>();
    const float new_max = std::max(state.row_max, tile_max);
    if (new_max == kMinusInfinity && tile_max == kMinusInfinity) continue;  // no key is visible so far
    const float factor = SoftmaxState<float>::rescale(state.row_max, new_max);
    weights -= new_max;
    weights = weights.exp();  // NaN stays NaN, also in vector code
    state.row_sum = state.row_sum * factor + weights.head(n).sum();
    state.row_max = new_max;
    partial.set_state(state);

    partial.acc() *= factor;
    add_rows(values.pointers(), n, weights.data(), head_dim, partial.data + 2);
  }
}

/// Computes the partials of chunk c: the visible keys in this chunk, tile by tile.
void attend_chunk(const float* q, int64_t group_size, const Scores& scores, const HeadRows& k,
                  const HeadRows& v, VisibleKeys keys, int32_t c, float* partials) {
  for (int64_t j = 0; j < group_size; ++j)
    Partial{partials + j * (k.layout.head_dim + 2), k.layout.head_dim}.clear();
  for (const KeyRange range : {keys.range(0), keys.range(1)}) {
    const int32_t begin = std::max(range.begin, c * kChunk), end = std::min(range.end, (c + 1) * kChunk);
    for (int32_t tile = begin / kTile * kTile; tile < end; tile += kTile)
      attend_tile(q, group_size, scores, k, v, std::max(begin, tile), std::min(end, tile + kTile), partials);
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
  int64_t rooms_per_unit = 2;  // partials of a unit
  float* partials = nullptr;   // [n_units, rooms_per_unit, group_size, head_dim + 2]

  AttendJob(const Attend& op)
      : q(op.q),
        batch(op.batch),
        spec(op.spec),
        out(op.out),
        lse(op.lse),
        k(op.storage, op.site.layer, RowKind::k),
        v(op.storage, op.site.layer, RowKind::v),
        n_kv_heads(op.storage.spec().n_kv_heads),
        group_size(op.q.dim(1) / n_kv_heads),
        head_dim(op.q.dim(2)) {}

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
  void chunk(int64_t unit, int64_t c, int64_t i) const {
    const StepPlan& plan = *batch.plan;
    const auto token = static_cast<int32_t>(unit / n_kv_heads);
    const auto g = static_cast<int32_t>(unit % n_kv_heads);
    int32_t sequence = 0;
    while (plan.q_start[sequence + 1] <= token) ++sequence;
    const BlockTable table = block_table(batch, sequence);
    const VisibleKeys keys =
        visible_keys(spec.mask, plan.q_len(sequence), plan.kv_len[sequence], token - plan.q_start[sequence]);
    const auto first_head = static_cast<int32_t>(g * group_size);
    attend_chunk(q.data<float>() + (token * q.dim(1) + first_head) * head_dim, group_size,
                 {spec.score, first_head, {batch, sequence, token}}, k.of(table, g), v.of(table, g), keys,
                 static_cast<int32_t>(c), room(unit, i));
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
    chunk(unit, 0, 0);
    for (int64_t c = 1; c < n; ++c) {
      chunk(unit, c, 1);
      merge(unit, 1);
    }
    write(unit);
  }
};

}  // namespace

void EigenBackend::attend(const Attend& op) {
  AttendJob job(op);
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
    pool_.for_each(n_units * n_chunks,
                   [&](int64_t item) { job.chunk(item / n_chunks, item % n_chunks, item % n_chunks); });
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
  const LayerRows keys_of_layer(op.storage, op.site.layer, RowKind::k);
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
  const TileRows keys(k, begin, end);
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
        dot_rows(keys.pointers() + (first - begin), n, op.q.data<float>() + head * head_dim, head_dim,
                 weights.data());
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
