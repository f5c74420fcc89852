// The operations of the CPU reference that show softmax weights: Probe for chosen heads and rows, ScoreMass summed
// for each key. Both compute the scores again, because attend does not keep them. The formulas are in ops/probe.h
// and ops/score_mass.h.
#include <Eigen/Core>
#include <algorithm>
#include <limits>
#include <vector>

#include "backend/eigen.h"
#include "backend/eigen_scores.h"
#include "backend/probe_row.h"
#include "backend/row_sums.h"
#include "backend/tile_rows.h"
#include "core/stop.h"

namespace lastrow {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
using ConstRow = Eigen::Map<const Eigen::ArrayXf>;
using Row = Eigen::Map<Eigen::ArrayXf>;

}  // namespace

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
  Eigen::Array<float, TileRows::kTile, 1> weights;
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
