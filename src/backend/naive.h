// The judge: computes every operation by its formula, in plain loops, one row after the other.
//
//   NaiveBackend<double> judge;             all other backends are compared with it
//   NaiveBackend<float>  yardstick;         sets the tolerance: twice the error of this one is allowed
//   NaiveBackend<float>  reordered(seed);   the same sums, in a random order chosen by the seed
//
// Invariant: a row of an output depends only on its own operands and is summed in one fixed order. The rest
// of the batch does not matter. So on this backend these are equal to the last bit: cached and recompute,
// a prefill and single decodes, a sequence in a batch and alone. The price is speed.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/cpu_backend.h"

namespace lastrow {

template <typename T>
class NaiveBackend final : public CpuBackend<T> {
 public:
  static constexpr bool kIsJudge = dtype_of<T> == DType::f64;
  static constexpr const char* kName = kIsJudge ? "naive-f64" : "naive";
  static constexpr const char* kDescription =
      kIsJudge ? "plain loops in double precision, the judge of all others"
               : "plain loops in single precision, the yardstick of tolerances";

  /// order_seed 0 sums in natural order; any other seed shuffles the order of every sum. If `p_dtype` is f16
  /// or bf16, p is rounded to it before it is multiplied by a value, as kernels on tensor cores do. The sum
  /// of p is not rounded.
  explicit NaiveBackend(uint64_t order_seed = 0, DType p_dtype = dtype_of<T>)
      : order_seed_(order_seed), p_dtype_(p_dtype) {}

  BackendInfo info() const override;
  void run(const Op& op) override;

 private:
  struct Compute;  // one function for each operation
  template <typename Each>
  void in_order(int64_t n, Each each);
  template <typename Term>
  T sum(int64_t n, Term term);
  /// K or V of one sequence as numbers: a view of the storage, or of encoded rows decoded to `room`.
  struct Rows {
    const T* rows;
    RowLayout layout;
    BlockTable table;
    const T* row(int32_t s, int32_t g) const { return rows + row_offset(layout, slot_of(table, s), g); }
  };
  Rows readable(const KvStorage& storage, int32_t layer, RowKind kind, const Batch& batch, int32_t sequence,
                std::vector<T>& room);
  /// The keys of an Attend or a Probe: the rotated ones if it has them, else the stored ones.
  template <typename Looking>
  Rows keys_of(const Looking& op, int32_t sequence) {
    if (op.keys.empty())
      return readable(op.storage, op.site.layer, RowKind::k, op.batch, sequence, decoded_k_);
    return {op.keys.template data<T>(), op.storage.spec().layout(), block_table(op.batch, sequence)};
  }
  /// What makes the scores of one query and one head: q · k in some order, then the rule.
  struct HeadScore {
    const ScoreRule& rule;
    T slope;
    KeyDistances distance;
    T of(T product, int32_t s) const {
      const T x = static_cast<T>(rule.query_factor()) * product;
      return rule.only_scales() ? x : rule.finish(x, slope, distance(s));
    }
  };
  HeadScore head_score(const AttendSpec& spec, const Batch& batch, int32_t sequence, int32_t token,
                       int32_t h) const {
    return {spec.score, static_cast<T>(spec.score.slope(h)), {batch, sequence, token}};
  }
  void attend_row(const T* q, const Rows& k, const Rows& v, VisibleKeys keys, int32_t g,
                  const HeadScore& score, T* out, T* lse);

  T rounded_p(T p) const;

  uint64_t order_seed_;
  DType p_dtype_;
  std::vector<int32_t> order_;            // the current shuffle, for sums of this length
  std::vector<T> scores_;                 // [visible keys] of the current row
  std::vector<T> decoded_k_, decoded_v_;  // [n_kv_heads, kv_len, head_dim] of the current sequence
};

extern template class NaiveBackend<float>;
extern template class NaiveBackend<double>;

}  // namespace lastrow
