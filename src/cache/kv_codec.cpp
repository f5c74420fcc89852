#include "cache/kv_codec.h"

#include "core/error.h"

namespace lastrow {

std::string_view kv_dtype_name(DType dtype) { return dtype == DType::i8 ? "int8" : name_of(dtype); }

DType kv_dtype_from_name(std::string_view name) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8})
    if (kv_dtype_name(dtype) == name) return dtype;
  throw UsageError("unknown K/V dtype '{}': use one of f32 f16 bf16 fp8 int8", name);
}

}  // namespace lastrow
