// The base of every backend in host memory: memory, K/V storage, the step's arrays, and the operations that
// only move, round or choose rows (Embed, EmbedPositions, Append, SealKeys, GatherRows, Argmax). T is the activation
// type, float or double.
//
// NaiveBackend and EigenBackend derive from it and add the arithmetic.
//
// CacheSpec::dtypes() chooses how K and V are stored: f32 as T, every other type encoded row by row
// (kv_rows.h).
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

 protected:
  void compute(const Embed& op);
  void compute(const EmbedPositions& op);
  void compute(const Append& op);
  void compute(const SealKeys& op);
  void compute(const GatherRows& op);
  void compute(const Argmax& op);

 private:
  template <typename U>
  void encode(KvStorage& storage, int32_t layer, RowKind kind, int64_t slot, int32_t g, const U* row);

  Batch batch_{}, windowed_batch_{};
  std::vector<float> row_;  // [head_dim], a row that is about to be encoded
};

extern template class CpuBackend<float>;
extern template class CpuBackend<double>;

}  // namespace lastrow
