#include "cost/cache_formats.h"

#include <array>
#include <string>

#include "cache/kv_codec.h"
#include "core/error.h"

namespace lastrow {
namespace {

constexpr std::array<CacheFormat, 8> kFormats = {{{"f32", 32},
                                                  {"f16", 16},
                                                  {"bf16", 16},
                                                  {"int8", 8, 4},
                                                  {"fp8", 8},
                                                  {"int4", 4, 2, kScaleGroup},
                                                  {"fp4", 4, 2, kScaleGroup},
                                                  {"int8-channel", 8, 0, 0, 4}}};

}  // namespace

std::span<const CacheFormat> cache_formats() { return kFormats; }

const CacheFormat& cache_format(std::string_view name) {
  std::string known;
  for (const CacheFormat& format : kFormats) {
    if (format.name == name) return format;
    known += known.empty() ? "" : ", ";
    known += format.name;
  }
  throw UsageError("unknown cache dtype \"{}\": use one of {}", name.substr(0, 32), known);
}

CacheFormats cache_formats_of(std::string_view text) {
  const auto names = split_k_and_v(text);
  if (!names) throw UsageError("unknown cache dtypes \"{}\": use TYPE, or k=TYPE,v=TYPE", text.substr(0, 32));
  const CacheFormats formats{cache_format(names->first), cache_format(names->second)};
  if (formats.v.channel_scale_bytes > 0) refuse_channel_scales_of_v();
  return formats;
}

}  // namespace lastrow
