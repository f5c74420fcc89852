// An attention problem given by its sizes and a seed, and its solution by any backend.
//
//   AttendCase c{.n_q_heads = 8, .n_kv_heads = 2, .head_dim = 64, .sequences = {{1, 33}, {5, 7}}};
//   AttendResult r = attend(backend, c);      doubles, on the host
//
// The inputs depend only on (seed, sequence, index). The block length and the block order change where rows
// are stored, not their values. Every unused slot holds NaN.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "backend/backend.h"
#include "core/random.h"
#include "judge/random_tensor.h"

namespace lastrow::judge {

struct SequenceSize {
  int32_t q_len, kv_len;
};

struct AttendCase {
  int32_t n_q_heads = 1, n_kv_heads = 1, head_dim = 8;
  std::vector<SequenceSize> sequences = {{1, 1}};
  MaskRule mask{};
  int32_t block_len = 0;     // 0: contiguous
  uint64_t block_order = 0;  // seed that shuffles the blocks; 0: in order
  float score_scale = 1;     // multiplies 1/√head_dim; with 1e4 the softmax is one-hot
  float soft_cap = 0;        // 0: none
  bool alibi = false;
  // Block tables as a cache with a window has them: the number of sinks; the place in a block where the rows of the
  // window begin (table_first + i in sequence i); and how many positions between the two were forgotten.
  int32_t table_sinks = 0, table_first = 0, forgotten = 0;
  uint64_t seed = 1;
  KvDtypes kv_dtype{};
  int32_t n_splits = 0;  // on a GPU, the number of parts that K/V is split into; 0: the device chooses
};

struct AttendResult {
  std::vector<double> out;  // [n_tokens, n_q_heads, head_dim]
  std::vector<double> lse;  // [n_tokens, n_q_heads]
};

/// The cache and the step of a case: its rows laid out in blocks.
struct Layout {
  CacheSpec spec;
  StepPlan plan;
};

inline Layout lay_out(const AttendCase& c) {
  int32_t longest = 1, n_blocks = 0;
  for (const auto& s : c.sequences) longest = std::max(longest, s.kv_len);
  const int32_t block_len = c.block_len == 0 ? longest : c.block_len;
  const auto first_place = [&](size_t i) {
    return c.table_first == 0 ? 0 : (c.table_first + static_cast<int32_t>(i)) % block_len;
  };
  int32_t per_seq = 1;
  for (size_t i = 0; i < c.sequences.size(); ++i)
    per_seq =
        std::max(per_seq, entries_used({nullptr, 0, block_len, c.table_sinks, first_place(i)}, longest));
  n_blocks = per_seq * static_cast<int32_t>(c.sequences.size());
  std::vector<int32_t> order(static_cast<size_t>(n_blocks));
  std::iota(order.begin(), order.end(), 0);
  if (c.block_order != 0) {
    Random random(c.block_order);
    for (int64_t i = n_blocks - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  }
  Layout l;
  l.spec = {1, c.n_kv_heads, c.head_dim, longest, block_len, n_blocks, c.kv_dtype.k, c.kv_dtype.v};
  l.plan.blocks_per_seq = per_seq;
  l.plan.block_len = block_len;
  l.plan.table_sinks = c.table_sinks;
  l.plan.q_start = {0};
  for (size_t i = 0; i < c.sequences.size(); ++i) {
    const auto [q_len, kv_len] = c.sequences[i];
    if (c.table_first != 0) l.plan.table_first.push_back(first_place(i));
    for (int32_t b = 0; b < per_seq; ++b) l.plan.block_tables.push_back(order[i * per_seq + b]);
    const BlockTable table{l.plan.block_tables.data() + i * per_seq, per_seq, block_len, c.table_sinks,
                           first_place(i)};
    const auto position = [&](int32_t s) { return s < c.table_sinks ? s : s + c.forgotten; };
    if (c.forgotten > 0)
      for (int32_t s = 0; s < per_seq * block_len; ++s) l.plan.key_positions.push_back(position(s));
    for (int32_t t = 0; t < q_len; ++t) {
      l.plan.tokens.push_back(0);
      l.plan.positions.push_back(position(std::max(0, kv_len - q_len + t)));
      l.plan.append_slots.push_back(slot_of(table, std::max(0, kv_len - q_len + t)));
    }
    l.plan.q_start.push_back(l.plan.n_tokens());
    l.plan.kv_len.push_back(kv_len);
    l.plan.sequences.push_back(static_cast<int32_t>(i));
  }
  return l;
}

inline std::vector<double> to_doubles(Backend& backend, ConstTensorView x) {
  std::vector<double> values(static_cast<size_t>(x.size()));
  backend.download(x, TensorView(values.data(), x.shape()));
  return values;
}

/// Storage that holds the rows of the case, and NaN in every other slot.
inline std::unique_ptr<KvStorage> fill_storage(Backend& backend, const AttendCase& c, const Layout& l) {
  auto storage = backend.make_storage(l.spec);
  const int64_t n_slots = int64_t{l.spec.n_blocks} * l.spec.block_len;
  Tensor nan = Tensor::host(DType::f32, {n_slots, c.n_kv_heads, c.head_dim});
  std::fill_n(nan.data<float>(), nan.size(), std::numeric_limits<float>::quiet_NaN());
  std::vector<int64_t> all(static_cast<size_t>(n_slots));
  std::iota(all.begin(), all.end(), 0);
  for (const RowKind kind : {RowKind::k, RowKind::v}) {
    backend.write_rows(*storage, 0, kind, all, nan.view());
    for (size_t i = 0; i < c.sequences.size(); ++i) {
      const int32_t kv_len = c.sequences[i].kv_len;
      const Tensor rows =
          random_tensor({kv_len, c.n_kv_heads, c.head_dim}, c.seed, 10 * i + (kind == RowKind::k ? 1 : 2));
      const std::vector<int64_t> slots = slots_of(l.plan, static_cast<int32_t>(i), 0, kv_len);
      backend.write_rows(*storage, 0, kind, slots, rows.view());
    }
  }
  return storage;
}

inline Tensor case_queries(const AttendCase& c, const Layout& l) {
  Tensor q = Tensor::host(DType::f32, {l.plan.n_tokens(), c.n_q_heads, c.head_dim});
  for (size_t i = 0; i < c.sequences.size(); ++i) {
    const Tensor rows = random_tensor({c.sequences[i].q_len, c.n_q_heads, c.head_dim}, c.seed, 10 * i);
    convert(rows.view(), q.view().rows(l.plan.q_start[i], c.sequences[i].q_len));
  }
  return q;
}

inline AttendSpec case_spec(const AttendCase& c) {
  return {{.scale = static_cast<float>(c.score_scale / std::sqrt(static_cast<double>(c.head_dim))),
           .soft_cap = c.soft_cap,
           .alibi_heads = c.alibi ? c.n_q_heads : 0},
          c.mask};
}

/// ALiBi's slopes [n_q_heads], as kernels take them; empty without ALiBi.
inline std::vector<float> case_slopes(const AttendCase& c) {
  std::vector<float> slopes;
  for (int32_t h = 0; c.alibi && h < c.n_q_heads; ++h) slopes.push_back(case_spec(c).score.slope(h));
  return slopes;
}

/// Uses the rows in `storage`. queries [n_tokens, n_q_heads, head_dim] are on the host.
inline AttendResult attend(Backend& backend, const AttendCase& c, const Layout& l, KvStorage& storage,
                           const Tensor& queries) {
  const Tensor q = backend.upload(queries.view());
  Tensor out = backend.make_tensor(q.shape()), lse = backend.make_tensor({l.plan.n_tokens(), c.n_q_heads});
  const Batch& batch = backend.begin_step(l.plan, storage);
  backend.run(Attend{{0, "attend"}, q, storage, batch, case_spec(c), out, lse});
  return {to_doubles(backend, out.view()), to_doubles(backend, lse.view())};
}

inline AttendResult attend(Backend& backend, const AttendCase& c) {
  const Layout l = lay_out(c);
  return attend(backend, c, l, *fill_storage(backend, c, l), case_queries(c, l));
}

}  // namespace lastrow::judge
