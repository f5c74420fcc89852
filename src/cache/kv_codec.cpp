#include "cache/kv_codec.h"

#include "core/error.h"

namespace lastrow {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f16,  DType::bf16,  DType::fp8_e4m3,
                            DType::i8,  DType::i4x2, DType::fp4x2, DType::i8_channel};
constexpr const char* kNames = "f32 f16 bf16 fp8 int8 int4 fp4 int8-channel";

}  // namespace

std::string_view kv_dtype_name(DType dtype) { return dtype == DType::i8 ? "int8" : name_of(dtype); }

DType kv_dtype_from_name(std::string_view name) {
  for (const DType dtype : kTypes)
    if (kv_dtype_name(dtype) == name) return dtype;
  throw UsageError("unknown K/V dtype '{:.80}': use one of {}", name,
                   kNames);  // 80 characters of a long name
}

std::optional<std::pair<std::string_view, std::string_view>> split_k_and_v(std::string_view text) {
  if (text == kv_dtype_name(DType::i8_channel)) return std::pair(text, kv_dtype_name(DType::i8));
  if (text.find_first_of("=,") == std::string_view::npos) return std::pair(text, text);
  const size_t comma = text.find(',');
  if (comma == std::string_view::npos) return {};
  std::string_view k = text.substr(0, comma), v = text.substr(comma + 1);
  if (k.starts_with("v=")) std::swap(k, v);
  if (!k.starts_with("k=") || !v.starts_with("v=")) return {};
  return std::pair(k.substr(2), v.substr(2));
}

void refuse_channel_scales_of_v() {
  throw UsageError(
      "int8-channel is for K only, because V has no outlier channels: use k=int8-channel,v=int8");
}

KvDtypes kv_dtypes_from_name(std::string_view text) {
  const auto names = split_k_and_v(text);
  if (!names)
    throw UsageError("unknown K/V dtypes '{:.80}': use TYPE or k=TYPE,v=TYPE, where TYPE is one of {}", text,
                     kNames);
  const KvDtypes dtypes{kv_dtype_from_name(names->first), kv_dtype_from_name(names->second)};
  if (has_channel_scales(dtypes.v)) refuse_channel_scales_of_v();
  return dtypes;
}

std::string kv_dtypes_name(KvDtypes dtypes) {
  if (dtypes == KvDtypes(DType::i8_channel, DType::i8)) return std::string(kv_dtype_name(dtypes.k));
  return dtypes.same() ? std::string(kv_dtype_name(dtypes.k))
                       : fmt::format("k={},v={}", kv_dtype_name(dtypes.k), kv_dtype_name(dtypes.v));
}

}  // namespace lastrow
