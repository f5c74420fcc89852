// The types of K and V as the calculator of cost/memory.h counts them: the bytes of a row and of its scales.
//
//   cache_format("int8").row_bytes(128)      132
//   cache_formats_of("k=int8,v=fp8")         the formats of K and of V
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace lastrow {

/// A type that a cache stores its elements in, as cache/kv_codec.h says.
/// Scales are symmetric: there is no zero point.
struct CacheFormat {
  std::string_view name;
  int64_t elem_bits = 0;
  int64_t scale_bytes = 0;          // of one scale; 0: the format has no scales
  int64_t group = 0;                // elements of a row that share a scale; 0: all of them
  int64_t channel_scale_bytes = 0;  // of one scale of a channel of a block (cache/kv_channels.h); 0: none

  constexpr int64_t n_scales(int64_t head_dim) const {
    return scale_bytes == 0 ? 0 : group == 0 ? 1 : (head_dim + group - 1) / group;
  }
  /// The packed elements, rounded up to whole bytes, and the scales.
  constexpr int64_t row_bytes(int64_t head_dim) const {
    return (head_dim * elem_bits + 7) / 8 + n_scales(head_dim) * scale_bytes;
  }
};

/// The formats of K and of V. One format stands for both.
struct CacheFormats {
  CacheFormat k, v;

  CacheFormats(const CacheFormat& both) : k(both), v(both) {}
  CacheFormats(const CacheFormat& of_k, const CacheFormat& of_v) : k(of_k), v(of_v) {}
};

/// f32 f16 bf16 int8 fp8 int4 fp4 int8-channel.
std::span<const CacheFormat> cache_formats();
/// Throws UsageError that lists the known names.
const CacheFormat& cache_format(std::string_view name);
/// Takes one name for both, or "k=int8,v=fp8"; int8-channel stands for k=int8-channel,v=int8. Throws UsageError that
/// lists the spellings.
CacheFormats cache_formats_of(std::string_view text);

}  // namespace lastrow
