// What every backend in host memory shares: memory, K/V storage, the step's arrays, and the operations that
// only move rows (embed, append, gather_rows, copy_blocks). T is the activation type, float or double.
//
// K and V are stored as CacheSpec::dtype says: f32 as T, every other type encoded row by row (kv_rows.h).
//
// NaiveBackend and EigenBackend derive from it and bring the arithmetic.
#pragma once

#include <vector>

#include "backend/backend.h"
#include "backend/checks.h"

namespace lastrow {

template <typename T>
class CpuBackend : public Backend {
 public:
  Tensor make_tensor(Shape shape, std::optional<DType> dtype = {}) override;
  Tensor upload(ConstTensorView host) override;
  void download(ConstTensorView from, TensorView host) override;
  void write(ConstTensorView host, TensorView to) override;

  std::unique_ptr<KvStorage> make_storage(const CacheSpec& spec) override;
  void read_rows(const KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                 TensorView host) override;
  void write_rows(KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                  ConstTensorView host) override;
  void copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) override;

  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;
  void replay(int64_t key, FunctionRef<void()> ops) override;

  void embed(Site site, ConstTensorView table, const Batch& batch, TensorView out) override;
  void append(Site site, ConstTensorView k, ConstTensorView v, const Batch& batch,
              KvStorage& storage) override;
  void gather_rows(Site site, ConstTensorView x, const Batch& batch, TensorView out) override;
  void argmax(Site site, ConstTensorView logits, TensorView ids) override;

 private:
  template <typename U>
  void encode(KvStorage& storage, int32_t layer, RowKind kind, int64_t slot, int32_t g, const U* row);

  Batch batch_{};
  std::vector<float> row_;  // [head_dim], on its way to encoded storage
};

extern template class CpuBackend<float>;
extern template class CpuBackend<double>;

/// Block table of sequence i of a batch.
inline BlockTable block_table(const Batch& batch, int32_t i) {
  const StepPlan& plan = *batch.plan;
  return {batch.block_tables + int64_t{i} * plan.blocks_per_seq, plan.blocks_per_seq, plan.block_len};
}

}  // namespace lastrow
