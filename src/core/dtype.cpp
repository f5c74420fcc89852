#include "core/dtype.h"

#include <array>
#include <utility>

#include "core/error.h"

namespace lastrow {
namespace {
constexpr std::array<std::pair<DType, std::string_view>, 12> kNames = {{{DType::f64, "f64"},
                                                                        {DType::f32, "f32"},
                                                                        {DType::f16, "f16"},
                                                                        {DType::bf16, "bf16"},
                                                                        {DType::fp8_e4m3, "fp8"},
                                                                        {DType::i64, "i64"},
                                                                        {DType::i32, "i32"},
                                                                        {DType::i8, "i8"},
                                                                        {DType::u8, "u8"},
                                                                        {DType::fp4x2, "fp4"},
                                                                        {DType::i4x2, "int4"},
                                                                        {DType::i8_channel, "int8-channel"}}};
}  // namespace

std::string_view name_of(DType dtype) {
  for (const auto& [type, name] : kNames)
    if (type == dtype) return name;
  return "?";
}

DType dtype_from_name(std::string_view name) {
  for (const auto& [type, known] : kNames)
    if (known == name) return type;
  throw UsageError(
      "unknown dtype '{:.32}': use one of f64 f32 f16 bf16 fp8 i64 i32 i8 u8 fp4 int4 int8-channel", name);
}

}  // namespace lastrow
