#include "trace/saturation.h"

#include "cache/kv_range.h"

namespace lastrow {
namespace {

bool can_saturate_in(DType stored) {
  return stored != DType::f32 && stored != DType::i8 && stored != DType::i8_channel;
}

int64_t count(ConstTensorView rows, DType stored) {
  if (!can_saturate_in(stored) || rows.size() == 0) return 0;
  if (rows.dtype() == DType::f32) return out_of_range(rows, stored).n;
  Tensor narrow = Tensor::host(DType::f32, rows.shape());
  convert(rows, narrow.view());
  return out_of_range(std::as_const(narrow).view(), stored).n;
}

}  // namespace

bool SaturationBackend::can_saturate(KvDtypes dtypes) {
  return can_saturate_in(dtypes.k) || can_saturate_in(dtypes.v);
}

void SaturationBackend::run(const Op& op) {
  inner().run(op);
  const auto* append = std::get_if<Append>(&op);
  if (append == nullptr) return;
  const KvDtypes stored = append->storage.spec().dtypes();
  n_saturated_ += count(append->k, stored.k) + count(append->v, stored.v);
}

}  // namespace lastrow
