#include "backend/naive.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "backend/kv_rows.h"
#include "backend/probe_row.h"
#include "core/random.h"

namespace lastrow {

template <typename T>
BackendInfo NaiveBackend<T>::info() const {
  return {kName, kDescription, dtype_of<T>, 1};
}

/// each(i) for i in [0, n), in the order that the seed says.
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

/// Σ term(i) for i in [0, n), in that order.
template <typename T>
template <typename Term>
T NaiveBackend<T>::sum(int64_t n, Term term) {
  T total = 0;
  in_order(n, [&](int64_t i) { total += term(i); });
  return total;
}

template <typename T>
void NaiveBackend<T>::rms_norm(Site, ConstTensorView x, ConstTensorView weight, float eps, TensorView out) {
  checks::rms_norm(x, weight, out);
  const int64_t dim = x.dim(1);
  const T *row = x.data<T>(), *w = weight.data<T>();
  T* o = out.data<T>();
  for (int64_t t = 0; t < x.dim(0); ++t, row += dim, o += dim) {
    const T mean_square = sum(dim, [&](int64_t i) { return row[i] * row[i]; }) / static_cast<T>(dim);
    const T scale = T(1) / std::sqrt(mean_square + static_cast<T>(eps));
    for (int64_t i = 0; i < dim; ++i) o[i] = w[i] * (row[i] * scale);
  }
}

template <typename T>
void NaiveBackend<T>::linear(Site, ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                             TensorView out) {
  checks::linear(x, weight, bias, out);
  const int64_t n_in = weight.dim(1), n_out = weight.dim(0);
  const T* row = x.data<T>();
  const T* b = bias.empty() ? nullptr : bias.data<T>();
  T* o = out.data<T>();
  for (int64_t t = 0; t < x.dim(0); ++t, row += n_in, o += n_out) {
    const T* w = weight.data<T>();
    for (int64_t j = 0; j < n_out; ++j, w += n_in) {
      const T product = sum(n_in, [&](int64_t i) { return row[i] * w[i]; });
      o[j] = b == nullptr ? product : product + b[j];
    }
  }
}

template <typename T>
void NaiveBackend<T>::rope(Site, const RopeTable& table, const Batch& batch, TensorView x) {
  checks::rope(table, batch, x);
  const int64_t n_heads = x.dim(1), head_dim = x.dim(2), half = head_dim / 2;
  const int64_t step = table.interleaved ? 2 : 1, partner = table.interleaved ? 1 : half;
  T* head = x.data<T>();
  for (int64_t t = 0; t < x.dim(0); ++t) {
    const T* cos = table.cos.view().template data<T>() + batch.positions[t] * half;
    const T* sin = table.sin.view().template data<T>() + batch.positions[t] * half;
    for (int64_t h = 0; h < n_heads; ++h, head += head_dim)
      for (int64_t d = 0; d < half; ++d) {
        T &a = head[d * step], &b = head[d * step + partner];
        const T turned_a = a * cos[d] - b * sin[d], turned_b = a * sin[d] + b * cos[d];
        a = turned_a;
        b = turned_b;
      }
  }
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
T NaiveBackend<T>::as_weight(T p) const {
  if (weights_ == DType::f16) return to_float(to_half(static_cast<float>(p)));
  if (weights_ == DType::bf16) return to_float(to_bfloat16(static_cast<float>(p)));
  return p;
}

/// One query, one head, three passes: scores and maximum; exponentials and their sum; weighted sum of values.
template <typename T>
void NaiveBackend<T>::attend_row(const T* q, const Rows& k, const Rows& v, KeyRange keys, int32_t g, T scale,
                                 T* out, T* lse) {
  const int32_t n = keys.end - keys.begin, head_dim = k.layout.head_dim;
  const auto row = [&](const Rows& rows, int64_t i) {
    return rows.row(keys.begin + static_cast<int32_t>(i), g);
  };
  constexpr T kMinusInfinity = -std::numeric_limits<T>::infinity();
  if (static_cast<int32_t>(scores_.size()) < n) scores_.resize(static_cast<size_t>(n));
  T row_max = kMinusInfinity;
  bool sees_nothing = true;
  for (int32_t i = 0; i < n; ++i) {
    const T* key = row(k, i);
    scores_[i] = scale * sum(head_dim, [&](int64_t d) { return q[d] * key[d]; });
    row_max = std::max(row_max, scores_[i]);
    sees_nothing = sees_nothing && scores_[i] == kMinusInfinity;  // NaN is seen
  }
  if (sees_nothing) {
    std::fill_n(out, head_dim, T(0));
    *lse = kMinusInfinity;
    return;
  }
  const T row_sum = sum(n, [&](int64_t i) { return std::exp(scores_[i] - row_max); });
  *lse = row_max + std::log(row_sum);
  std::fill_n(out, head_dim, T(0));
  in_order(n, [&](int64_t i) {  // each out[d] is a sum in that order; a value's row is read once
    const T weight = as_weight(std::exp(scores_[i] - row_max) / row_sum);
    const T* value = row(v, i);
    for (int32_t d = 0; d < head_dim; ++d) out[d] += weight * value[d];
  });
}

template <typename T>
void NaiveBackend<T>::attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                             const AttendSpec& spec, TensorView out, TensorView lse) {
  checks::attend(site, q, storage, batch, out, lse);
  const RowLayout layout = storage.spec().layout();
  const auto n_q_heads = static_cast<int32_t>(q.dim(1));
  const int32_t group_size = n_q_heads / layout.n_kv_heads;
  for (int32_t i = 0; i < batch.plan->n_seqs(); ++i) {
    const int32_t q_len = batch.plan->q_len(i);
    const Rows k = readable(storage, site.layer, RowKind::k, batch, i, decoded_k_),
               v = readable(storage, site.layer, RowKind::v, batch, i, decoded_v_);
    for (int32_t t = 0; t < q_len; ++t) {
      const KeyRange keys = visible_keys(spec.mask, q_len, batch.kv_len[i], t);
      for (int32_t h = 0; h < n_q_heads; ++h) {
        const int64_t head = int64_t{batch.q_start[i] + t} * n_q_heads + h;  // in q, out and lse alike
        attend_row(q.data<T>() + head * layout.head_dim, k, v, keys, h / group_size,
                   static_cast<T>(spec.scale), out.data<T>() + head * layout.head_dim, lse.data<T>() + head);
      }
    }
  }
}

template <typename T>
void NaiveBackend<T>::probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                            const AttendSpec& spec, ConstTensorView lse, const ProbeSelection& selection,
                            TensorView scores, TensorView probs, TensorView lse_distance) {
  const int32_t i = checks::probe(site, q, storage, batch, lse, selection, scores, probs, lse_distance);
  const RowLayout layout = storage.spec().layout();
  const int64_t n_q_heads = q.dim(1), group_size = n_q_heads / layout.n_kv_heads;
  const Rows k = readable(storage, site.layer, RowKind::k, batch, i, decoded_k_);
  const int32_t kv_len = batch.kv_len[i];
  T *score = scores.data<T>(), *prob = probs.data<T>();
  int64_t n_done = 0;  // rows
  for (int32_t h = selection.first_head; h < selection.first_head + selection.n_heads; ++h)
    for (int32_t row = selection.first_row; row < selection.first_row + selection.n_rows; ++row) {
      const T* query = q.data<T>() + (row * n_q_heads + h) * layout.head_dim;
      const KeyRange keys = visible_keys(spec.mask, batch.plan->q_len(i), kv_len, row - batch.q_start[i]);
      std::fill_n(score, kv_len, -std::numeric_limits<T>::infinity());
      for (int32_t s = keys.begin; s < keys.end; ++s) {
        const T* key = k.row(s, static_cast<int32_t>(h / group_size));
        score[s] =
            static_cast<T>(spec.scale) * sum(layout.head_dim, [&](int64_t d) { return query[d] * key[d]; });
      }
      const T distance = softmax_of_scores(score, kv_len, keys, lse.data<T>()[row * n_q_heads + h], prob);
      if (!lse_distance.empty()) lse_distance.data<T>()[n_done] = distance;
      score += kv_len, prob += kv_len, ++n_done;
    }
}

template <typename T>
void NaiveBackend<T>::swiglu(Site, ConstTensorView gate, ConstTensorView up, TensorView out) {
  checks::same_shape("swiglu gate", gate, out);
  checks::same_shape("swiglu up", up, out);
  const T *a = gate.data<T>(), *b = up.data<T>();
  T* o = out.data<T>();
  for (int64_t i = 0; i < out.size(); ++i) o[i] = a[i] / (T(1) + std::exp(-a[i])) * b[i];
}

template <typename T>
void NaiveBackend<T>::add(Site, ConstTensorView y, TensorView x) {
  checks::same_shape("addend", y, x);
  const T* b = y.data<T>();
  T* a = x.data<T>();
  for (int64_t i = 0; i < x.size(); ++i) a[i] += b[i];
}

template class NaiveBackend<float>;
template class NaiveBackend<double>;

}  // namespace lastrow
