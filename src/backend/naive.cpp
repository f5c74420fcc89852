#include "backend/naive.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "backend/kv_rows.h"
#include "backend/probe_row.h"
#include "core/conversions.h"
#include "core/random.h"
#include "core/stop.h"

namespace lastrow {
namespace {

/// Rotates the pairs of one head by the angles of a position, in place.
template <typename T>
void rotate(const RopeTable& table, int64_t position, T* head) {
  const int64_t half = table.cos.shape()[1];
  const int64_t step = table.interleaved ? 2 : 1, partner = table.interleaved ? 1 : half;
  const T* cos = table.cos.template data<T>() + position * half;
  const T* sin = table.sin.template data<T>() + position * half;
  for (int64_t d = 0; d < half; ++d) {
    T &a = head[d * step], &b = head[d * step + partner];
    const T turned_a = a * cos[d] - b * sin[d], turned_b = a * sin[d] + b * cos[d];
    a = turned_a;
    b = turned_b;
  }
}

}  // namespace

template <typename T>
BackendInfo NaiveBackend<T>::info() const {
  return {.name = kName,
          .description = kDescription,
          .activation_dtype = dtype_of<T>,
          .n_threads = 1,
          .row_by_row = true};
}

/// Calls each(i) for i in [0, n), in the order that the seed chooses.
template <typename T>
template <typename Each>
void NaiveBackend<T>::in_order(int64_t n, Each each) {
  if (order_seed_ == 0) {
    for (int64_t i = 0; i < n; ++i) each(i);
    return;
  }
  if (static_cast<int64_t>(order_.size()) != n) {
    order_.resize(static_cast<size_t>(n));
    std::iota(order_.begin(), order_.end(), 0);
    Random random(order_seed_, static_cast<uint64_t>(n));
    for (int64_t i = n - 1; i > 0; --i) std::swap(order_[i], order_[random.below(i + 1)]);
  }
  for (int32_t i : order_) each(i);
}

/// Σ term(i) for i in [0, n), in the order of in_order.
template <typename T>
template <typename Term>
T NaiveBackend<T>::sum(int64_t n, Term term) {
  T total = 0;
  in_order(n, [&](int64_t i) { total += term(i); });
  return total;
}

template <typename T>
typename NaiveBackend<T>::Rows NaiveBackend<T>::readable(const KvStorage& storage, int32_t layer,
                                                         RowKind kind, const Batch& batch, int32_t sequence,
                                                         std::vector<T>& room) {
  const RowLayout layout = storage.spec().layout();
  const BlockTable table = block_table(batch, sequence);
  const EncodedRows encoded(storage, layer, kind);
  if (!encoded.encoded()) return {storage.rows(layer, kind).template data<T>(), layout, table};

  const int32_t kv_len = batch.kv_len[sequence];
  std::vector<float> row(static_cast<size_t>(layout.head_dim));
  room.resize(static_cast<size_t>(layout.n_kv_heads) * kv_len * layout.head_dim);
  T* next = room.data();
  for (int32_t g = 0; g < layout.n_kv_heads; ++g)
    for (int32_t s = 0; s < kv_len; ++s, next += layout.head_dim) {
      encoded.decode(slot_of(table, s), g, row.data());
      std::copy(row.begin(), row.end(), next);
    }
  static constexpr int32_t kOnlyBlock = 0;
  return {room.data(), {layout.n_kv_heads, kv_len, layout.head_dim}, {&kOnlyBlock, 1, kv_len}};
}

template <typename T>
T NaiveBackend<T>::rounded_p(T p) const {
  if (p_dtype_ == DType::f16) return to_float(to_half(static_cast<float>(p)));
  if (p_dtype_ == DType::bf16) return to_float(to_bfloat16(static_cast<float>(p)));
  return p;
}

/// One query and one head, in three passes: scores and their maximum, sum of exponentials, sum of values.
template <typename T>
void NaiveBackend<T>::attend_row(const T* q, const Rows& k, const Rows& v, VisibleKeys keys, int32_t g,
                                 const HeadScore& score, T* out, T* lse) {
  const int32_t n = keys.count(), head_dim = k.layout.head_dim;
  const auto row = [&](const Rows& rows, int64_t i) {
    return rows.row(keys.index(static_cast<int32_t>(i)), g);
  };
  constexpr T kMinusInfinity = -std::numeric_limits<T>::infinity();
  if (static_cast<int32_t>(scores_.size()) < n) scores_.resize(static_cast<size_t>(n));
  T row_max = kMinusInfinity;
  bool sees_nothing = true;
  for (int32_t i = 0; i < n; ++i) {
    const T* key = row(k, i);
    scores_[i] = score.of(sum(head_dim, [&](int64_t d) { return q[d] * key[d]; }), keys.index(i));
    row_max = std::max(row_max, scores_[i]);
    sees_nothing = sees_nothing && scores_[i] == kMinusInfinity;  // a NaN score counts as seen
  }
  if (sees_nothing) {
    std::fill_n(out, head_dim, T(0));
    *lse = kMinusInfinity;
    return;
  }
  const T row_sum = sum(n, [&](int64_t i) { return std::exp(scores_[i] - row_max); });
  *lse = row_max + std::log(row_sum);
  std::fill_n(out, head_dim, T(0));
  in_order(n, [&](int64_t i) {  // each out[d] is summed in this order; each value row is read once
    const T weight = rounded_p(std::exp(scores_[i] - row_max) / row_sum);
    const T* value = row(v, i);
    for (int32_t d = 0; d < head_dim; ++d) out[d] += weight * value[d];
  });
}

/// One function for each operation. CpuBackend has the operations that only move or choose rows.
template <typename T>
struct NaiveBackend<T>::Compute {
  NaiveBackend& self;

  void operator()(const RmsNorm& op) const {
    const int64_t dim = op.x.dim(1);
    const T *row = op.x.template data<T>(), *w = op.weight.template data<T>();
    T* o = op.out.template data<T>();
    for (int64_t t = 0; t < op.x.dim(0); ++t, row += dim, o += dim) {
      const T mean_square = self.sum(dim, [&](int64_t i) { return row[i] * row[i]; }) / static_cast<T>(dim);
      const T scale = T(1) / std::sqrt(mean_square + static_cast<T>(op.eps));
      for (int64_t i = 0; i < dim; ++i) o[i] = w[i] * (row[i] * scale);
    }
  }

  void operator()(const LayerNorm& op) const {
    const int64_t dim = op.x.dim(1);
    const T *row = op.x.template data<T>(), *w = op.weight.template data<T>(),
            *b = op.bias.template data<T>();
    T* o = op.out.template data<T>();
    for (int64_t t = 0; t < op.x.dim(0); ++t, row += dim, o += dim) {
      const T mean = self.sum(dim, [&](int64_t i) { return row[i]; }) / static_cast<T>(dim);
      const auto square = [&](int64_t i) { return (row[i] - mean) * (row[i] - mean); };
      const T variance = self.sum(dim, square) / static_cast<T>(dim);
      const T scale = T(1) / std::sqrt(variance + static_cast<T>(op.eps));
      for (int64_t i = 0; i < dim; ++i) o[i] = w[i] * ((row[i] - mean) * scale) + b[i];
    }
  }

  void operator()(const Linear& op) const {
    const int64_t n_in = op.weight.dim(1), n_out = op.weight.dim(0);
    const T* row = op.x.template data<T>();
    const T* b = op.bias.empty() ? nullptr : op.bias.template data<T>();
    T* o = op.out.template data<T>();
    for (int64_t t = 0; t < op.x.dim(0); ++t, row += n_in, o += n_out) {
      stop_if_asked();
      const T* w = op.weight.template data<T>();
      for (int64_t j = 0; j < n_out; ++j, w += n_in) {
        const T product = self.sum(n_in, [&](int64_t i) { return row[i] * w[i]; });
        o[j] = b == nullptr ? product : product + b[j];
      }
    }
  }

  void operator()(const Rope& op) const {
    const int64_t n_heads = op.x.dim(1), head_dim = op.x.dim(2);
    T* head = op.x.template data<T>();
    for (int64_t t = 0; t < op.x.dim(0); ++t)
      for (int64_t h = 0; h < n_heads; ++h, head += head_dim) rotate(op.table, op.batch.positions[t], head);
  }

  void operator()(const RotateKeys& op) const {
    const StepPlan& plan = *op.batch.plan;
    const RowLayout layout = op.storage.spec().layout();
    T* keys = op.keys.template data<T>();
    for (int32_t i = 0; i < plan.n_seqs(); ++i) {
      const Rows k = self.readable(op.storage, op.site.layer, RowKind::k, op.batch, i, self.decoded_k_);
      for (int32_t s = 0; s < plan.kv_len[i]; ++s) {
        const int32_t* positions = op.batch.key_positions;
        const int32_t position = positions == nullptr ? s : positions[i * plan.keys_per_seq() + s];
        for (int32_t g = 0; g < layout.n_kv_heads; ++g) {
          T* key = keys + row_offset(layout, slot_of(block_table(plan, i), s), g);
          std::copy_n(k.row(s, g), layout.head_dim, key);
          rotate(op.table, position, key);
        }
      }
    }
  }

  void operator()(const Attend& op) const {
    const RowLayout layout = op.storage.spec().layout();
    const auto n_q_heads = static_cast<int32_t>(op.q.dim(1));
    const int32_t group_size = n_q_heads / layout.n_kv_heads;
    for (int32_t i = 0; i < op.batch.plan->n_seqs(); ++i) {
      const int32_t q_len = op.batch.plan->q_len(i);
      const Rows k = self.keys_of(op, i),
                 v = self.readable(op.storage, op.site.layer, RowKind::v, op.batch, i, self.decoded_v_);
      for (int32_t t = 0; t < q_len; ++t) {
        const VisibleKeys keys = visible_keys(op.spec.mask, q_len, op.batch.kv_len[i], t);
        const int32_t token = op.batch.q_start[i] + t;
        for (int32_t h = 0; h < n_q_heads; ++h) {
          stop_if_asked();
          const int64_t head = int64_t{token} * n_q_heads + h;  // in q, out and lse
          self.attend_row(op.q.template data<T>() + head * layout.head_dim, k, v, keys, h / group_size,
                          self.head_score(op.spec, op.batch, i, token, h),
                          op.out.template data<T>() + head * layout.head_dim,
                          op.lse.template data<T>() + head);
        }
      }
    }
  }

  void operator()(const Probe& op) const {
    const int32_t i = op.sequence();
    const auto& [first_head, n_heads, first_row, n_rows] = op.selection;
    const RowLayout layout = op.storage.spec().layout();
    const int64_t n_q_heads = op.q.dim(1), group_size = n_q_heads / layout.n_kv_heads;
    const Rows k = self.keys_of(op, i);
    const int32_t kv_len = op.batch.kv_len[i];
    T *score = op.scores.template data<T>(), *prob = op.probs.template data<T>();
    int64_t n_done = 0;  // rows so far
    for (int32_t h = first_head; h < first_head + n_heads; ++h)
      for (int32_t row = first_row; row < first_row + n_rows; ++row) {
        stop_if_asked();
        const T* query = op.q.template data<T>() + (row * n_q_heads + h) * layout.head_dim;
        const VisibleKeys keys =
            visible_keys(op.spec.mask, op.batch.plan->q_len(i), kv_len, row - op.batch.q_start[i]);
        const auto score_of = self.head_score(op.spec, op.batch, i, row, h);
        std::fill_n(score, kv_len, -std::numeric_limits<T>::infinity());
        for (int32_t n = 0; n < keys.count(); ++n) {
          const int32_t s = keys.index(n);
          const T* key = k.row(s, static_cast<int32_t>(h / group_size));
          score[s] = score_of.of(self.sum(layout.head_dim, [&](int64_t d) { return query[d] * key[d]; }), s);
        }
        const T written = op.lse.template data<T>()[row * n_q_heads + h];
        const T distance = softmax_of_scores(score, kv_len, keys, written, prob);
        if (!op.lse_distance.empty()) op.lse_distance.template data<T>()[n_done] = distance;
        score += kv_len, prob += kv_len, ++n_done;
      }
  }

  void operator()(const ScoreMass& op) const {
    const StepPlan& plan = *op.batch.plan;
    const RowLayout layout = op.storage.spec().layout();
    const int64_t n_q_heads = op.q.dim(1), group_size = n_q_heads / layout.n_kv_heads;
    T* mass = op.mass.template data<T>();
    std::fill_n(mass, op.mass.size(), T(0));
    for (int32_t i = 0; i < plan.n_seqs(); ++i, mass += plan.keys_per_seq()) {
      const Rows k = self.readable(op.storage, op.site.layer, RowKind::k, op.batch, i, self.decoded_k_);
      for (int32_t t = plan.q_start[i]; t < plan.q_start[i + 1]; ++t) {
        const VisibleKeys keys =
            visible_keys(op.spec.mask, plan.q_len(i), plan.kv_len[i], t - plan.q_start[i]);
        for (int32_t h = 0; h < n_q_heads; ++h) {
          stop_if_asked();
          const T lse = op.lse.template data<T>()[t * n_q_heads + h];
          if (lse == -std::numeric_limits<T>::infinity()) continue;  // it sees no key
          const T* query = op.q.template data<T>() + (t * n_q_heads + h) * layout.head_dim;
          const auto score_of = self.head_score(op.spec, op.batch, i, t, h);
          for (int32_t n = 0; n < keys.count(); ++n) {
            const int32_t s = keys.index(n);
            const T* key = k.row(s, static_cast<int32_t>(h / group_size));
            const T score =
                score_of.of(self.sum(layout.head_dim, [&](int64_t d) { return query[d] * key[d]; }), s);
            const T p = std::exp(score - lse);
            mass[s] += p > 1 ? T(1) : p;  // NaN stays NaN
          }
        }
      }
    }
  }

  void operator()(const Swiglu& op) const {
    const T *a = op.gate.template data<T>(), *b = op.up.template data<T>();
    T* o = op.out.template data<T>();
    for (int64_t i = 0; i < op.out.size(); ++i) o[i] = a[i] / (T(1) + std::exp(-a[i])) * b[i];
  }

  void operator()(const Gelu& op) const {
    constexpr T kC = static_cast<T>(Gelu::kSqrt2OverPi), kCubic = static_cast<T>(Gelu::kCubic);
    const T* x = op.x.template data<T>();
    T* o = op.out.template data<T>();
    for (int64_t i = 0; i < op.out.size(); ++i)
      o[i] = T(0.5) * x[i] * (T(1) + std::tanh(kC * (x[i] + kCubic * x[i] * x[i] * x[i])));
  }

  void operator()(const Add& op) const {
    const T* b = op.y.template data<T>();
    T* a = op.x.template data<T>();
    for (int64_t i = 0; i < op.x.size(); ++i) a[i] += b[i];
  }

  template <typename RowsMoved>
  void operator()(const RowsMoved& op) const {
    self.compute(op);
  }
};

template <typename T>
void NaiveBackend<T>::run(const Op& op) {
  check(op);
  stop_if_asked();
  std::visit(Compute{*this}, op);
}

template class NaiveBackend<float>;
template class NaiveBackend<double>;

}  // namespace lastrow
