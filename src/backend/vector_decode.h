// Decodes stored rows in vector registers, for vector_rows.cpp only. Its types are those of cache/kv_codec.h and
// kv_groups.h, which define what every bit means; see vector_rows.h.
//
// Highway is used as headers only, so that no program needs its shared library: only the instruction set of the
// compiler's flags, and no checks, which would call into the library. Without Highway this header is empty.
#pragma once

#include "backend/vector_rows.h"

#if LASTROW_WITH_HIGHWAY
#define HWY_COMPILE_ONLY_STATIC
#define HWY_IS_DEBUG_BUILD 0
#define HWY_DISABLE_PCLMUL_AES  // not used here, and x86-64-v3 does not have them
#include <hwy/highway.h>
#if !HWY_HAVE_SCALABLE && HWY_TARGET != HWY_SCALAR
#define LASTROW_VECTOR_ROWS 1
#endif
#endif

#if LASTROW_VECTOR_ROWS
#include <cstring>
#include <type_traits>

#include "cache/kv_channels.h"
#include "cache/kv_groups.h"
#include "core/conversions.h"
#include "core/error.h"

HWY_BEFORE_NAMESPACE();
namespace lastrow::vector_rows {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, 16>;
using Vec = hn::Vec<Floats>;
template <typename T>
using TagOf = hn::Rebind<T, Floats>;  // as many lanes of another type
constexpr Floats kFloats;
constexpr int64_t kLanes = hn::MaxLanes(kFloats);

/// f16, as 16 bits, to f32.
HWY_INLINE Vec from_half(hn::Vec<TagOf<uint16_t>> bits) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  return hn::PromoteTo(kFloats, hn::BitCast(TagOf<hwy::float16_t>(), bits));
#else  // as to_float(Half) does it
  const TagOf<uint32_t> du;
  const TagOf<int32_t> di;
  const auto x = hn::PromoteTo(du, bits);
  const auto sign = hn::ShiftLeft<16>(hn::And(x, hn::Set(du, 0x8000u)));
  const auto exponent = hn::And(hn::ShiftRight<10>(x), hn::Set(du, 0x1Fu));
  const auto mantissa = hn::And(x, hn::Set(du, 0x3FFu));
  const auto is_subnormal = hn::Eq(exponent, hn::Zero(du));
  const auto significand = hn::Or(mantissa, hn::IfThenZeroElse(is_subnormal, hn::Set(du, 0x400u)));
  const auto unit =
      hn::ShiftLeft<23>(hn::Add(hn::IfThenElse(is_subnormal, hn::Set(du, 1u), exponent), hn::Set(du, 102u)));
  const Vec size = hn::Mul(hn::ConvertTo(kFloats, hn::BitCast(di, significand)), hn::BitCast(kFloats, unit));
  const auto not_finite = hn::IfThenElseZero(hn::Eq(exponent, hn::Set(du, 31u)), hn::Set(du, 0x7F80'0000u));
  return hn::BitCast(kFloats, hn::Or(hn::BitCast(du, size), hn::Or(sign, not_finite)));
#endif
}

HWY_INLINE Vec load(const Half* from) {
  return from_half(hn::LoadU(TagOf<uint16_t>(), reinterpret_cast<const uint16_t*>(from)));
}

HWY_INLINE Vec load(const BFloat16* from) {
  const auto bits = hn::LoadU(TagOf<uint16_t>(), reinterpret_cast<const uint16_t*>(from));
  return hn::BitCast(kFloats, hn::ShiftLeft<16>(hn::PromoteTo(TagOf<uint32_t>(), bits)));
}

/// fp8 has the layout of f16 with fewer bits: shifted into its place, it is an f16 that is 2^8 times smaller.
/// The bits of NaN become 480, the only number above 448.
HWY_INLINE Vec load(const Fp8E4M3* from) {
  const TagOf<uint16_t> du16;
  const TagOf<int16_t> di16;
  const auto bits = hn::PromoteTo(du16, hn::LoadU(TagOf<uint8_t>(), reinterpret_cast<const uint8_t*>(from)));
  const auto shifted = hn::BitCast(du16, hn::ShiftRight<1>(hn::BitCast(di16, hn::ShiftLeft<8>(bits))));
  const Vec x = hn::Mul(from_half(hn::And(shifted, hn::Set(du16, 0xBF80u))), hn::Set(kFloats, 256.0f));
  const Vec nan = hn::BitCast(kFloats, hn::Set(TagOf<uint32_t>(), 0x7FC0'0000u));
  return hn::Or(x, hn::IfThenElseZero(hn::Gt(hn::Abs(x), hn::Set(kFloats, 448.0f)), nan));
}

HWY_INLINE Vec load(const int8_t* from) {
  return hn::ConvertTo(kFloats, hn::PromoteTo(TagOf<int32_t>(), hn::LoadU(TagOf<int8_t>(), from)));
}

/// The numbers of the 16 codes as f16, of which only the upper byte is not 0.
template <typename T>
struct UpperBytes {
  HWY_ALIGN uint8_t of_code[16];
  constexpr UpperBytes() : of_code() {
    for (uint32_t code = 0; code < 16; ++code)
      of_code[code] = static_cast<uint8_t>(to_half(number_of<T>(code)).bits >> 8);
  }
};
template <typename T>
constexpr UpperBytes<T> kUpperBytes;

/// fp4 or int4, without the scale: kLanes / 2 bytes.
template <typename T>
HWY_INLINE Vec load_codes(const T* from) {
  const TagOf<uint8_t> du8;
  const TagOf<uint16_t> du16;
  const hn::RepartitionToWide<TagOf<uint8_t>> pair;  // both codes of a byte, each in a byte of its own
  const auto bytes =
      hn::PromoteTo(pair, hn::LoadU(hn::Half<TagOf<uint8_t>>(), reinterpret_cast<const uint8_t*>(from)));
  const auto codes = hn::And(hn::Or(bytes, hn::ShiftLeft<4>(bytes)), hn::Set(pair, uint16_t{0x0F0F}));
  const auto table = hn::LoadDup128(hn::FixedTag<uint8_t, 16>(), kUpperBytes<T>.of_code);
  const auto upper = hn::TableLookupBytes(table, hn::BitCast(du8, codes));
  return from_half(hn::ShiftLeft<8>(hn::PromoteTo(du16, upper)));
}

template <typename T>
void decode_one(const T* stored, const std::byte* scales, int64_t head_dim, float* row) {
  int64_t e = 0;
  if constexpr (is_grouped<T>) {
    const Half* half = reinterpret_cast<const Half*>(scales);
    for (; e + kScaleGroup <= head_dim; e += kScaleGroup) {
      const Vec scale = from_half(hn::Set(TagOf<uint16_t>(), half++->bits));
      for (int64_t i = e; i < e + kScaleGroup; i += kLanes)
        hn::StoreU(hn::Mul(load_codes(stored + i / 2), scale), kFloats, row + i);
    }
    decode_groups(stored + e / 2, half, static_cast<int32_t>(head_dim - e), row + e);
  } else {
    float scale = 1;
    if constexpr (std::is_same_v<T, int8_t>) std::memcpy(&scale, scales, sizeof scale);
    for (; e + kLanes <= head_dim; e += kLanes) {
      Vec x = load(stored + e);
      if constexpr (std::is_same_v<T, int8_t>) x = hn::Mul(x, hn::Set(kFloats, scale));
      hn::StoreU(x, kFloats, row + e);
    }
    for (; e < head_dim; ++e) row[e] = lastrow::decode(stored[e], scale);
  }
}

/// A row of codes with a scale for each channel. Without scales it is still in f32.
void decode_channels(const Int8Channel* codes, const std::byte* scales, int64_t head_dim, float* row) {
  if (scales == nullptr) {
    std::memcpy(row, codes, static_cast<size_t>(head_dim) * sizeof(float));
    return;
  }
  const auto* scale = reinterpret_cast<const float*>(scales);
  const auto* bytes = reinterpret_cast<const int8_t*>(codes);
  int64_t e = 0;
  for (; e + kLanes <= head_dim; e += kLanes)
    hn::StoreU(hn::Mul(load(bytes + e), hn::LoadU(kFloats, scale + e)), kFloats, row + e);
  for (; e < head_dim; ++e) row[e] = decode_channel(codes[e], scale[e]);
}

/// Decodes rows [begin, begin + n).
void decode_rows(const Rows& rows, int32_t begin, int32_t n, float* floats) {
  with_type(rows.dtype, [&]<typename T>(T) {
    if constexpr (std::is_same_v<T, Int8Channel>)
      for (int32_t i = 0; i < n; ++i)
        decode_channels(reinterpret_cast<const T*>(rows.stored[begin + i]), rows.scales[begin + i],
                        rows.head_dim, floats + i * rows.head_dim);
    else if constexpr (encodes_rows(dtype_of<T>) && dtype_of<T> != DType::f32)
      for (int32_t i = 0; i < n; ++i)
        decode_one(reinterpret_cast<const T*>(rows.stored[begin + i]),
                   rows.scales == nullptr ? nullptr : rows.scales[begin + i], rows.head_dim,
                   floats + i * rows.head_dim);
    else
      LASTROW_CHECK(false, "rows of {} are not encoded", name_of(rows.dtype));
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lastrow::vector_rows
HWY_AFTER_NAMESPACE();
#endif
