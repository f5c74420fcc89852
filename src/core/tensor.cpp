#include "core/tensor.h"

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <concepts>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "core/conversions.h"

namespace lastrow {
namespace {

/// Asks the system for large pages, where it has them. A long read then looks up fewer pages: tests/bench/README.md
/// says what attention gains. The system may refuse; then nothing changes.
void ask_for_large_pages([[maybe_unused]] void* data, [[maybe_unused]] size_t bytes) {
#if defined(MADV_HUGEPAGE)
  madvise(data, bytes, MADV_HUGEPAGE);
#endif
}

class HostMemory final : public Memory {
 public:
  void* allocate(size_t bytes) override {
    constexpr size_t kLargePage = size_t{2} << 20, kWorthIt = 4 * kLargePage;
    const size_t alignment = bytes >= kWorthIt ? kLargePage : 64;
    const size_t rounded = (std::max<size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
    void* data = std::aligned_alloc(alignment, rounded);
    if (data == nullptr)
      throw CapacityError("cannot allocate {} bytes of host memory: use a smaller model or context", bytes);
    if (alignment == kLargePage) ask_for_large_pages(data, rounded);
    return data;
  }
  void free(void* data) noexcept override { std::free(data); }
};

/// Rounds towards zero, and takes the nearest end of T's range for a number outside it. NaN becomes 0.
template <std::integral T>
T saturated(double x) {
  // A double holds each end of the range exactly, except the upper end of i64. That one becomes 2^63, the
  // first number that is too large.
  constexpr auto kLeast = static_cast<double>(std::numeric_limits<T>::min()),
                 kMost = static_cast<double>(std::numeric_limits<T>::max());
  if (x >= kMost) return std::numeric_limits<T>::max();
  if (x <= kLeast) return std::numeric_limits<T>::min();
  return x == x ? static_cast<T>(x) : T{0};
}

/// The types whose elements mean nothing without a scale, and are not numbers themselves.
template <typename T>
constexpr bool kPacked = numbers_in(dtype_of<T>) > 1 || dtype_of<T> == DType::i8_channel;

template <typename To, typename From>
To converted(From x) {
  if constexpr (!std::is_arithmetic_v<From>)
    return converted<To>(to_float(x));
  else if constexpr (std::is_same_v<To, Half>)
    return to_half(static_cast<double>(x));
  else if constexpr (std::is_same_v<To, BFloat16>)
    return to_bfloat16(static_cast<double>(x));
  else if constexpr (std::is_same_v<To, Fp8E4M3>)
    return to_fp8_e4m3(static_cast<double>(x));
  else if constexpr (std::is_floating_point_v<To>)
    return static_cast<To>(x);
  else if constexpr (std::is_floating_point_v<From>)
    return saturated<To>(static_cast<double>(x));
  else if (std::in_range<To>(x))
    return static_cast<To>(x);
  else
    return x < 0 ? std::numeric_limits<To>::min() : std::numeric_limits<To>::max();
}

}  // namespace

std::string Shape::to_string() const {
  std::string s = "[";
  for (int i = 0; i < rank_; ++i) s += fmt::format("{}{}", i == 0 ? "" : ", ", dims_[i]);
  return s + "]";
}

Memory& Memory::host() {
  static HostMemory memory;
  return memory;
}

Tensor::Tensor(Memory& memory, DType dtype, Shape shape)
    : data_(nullptr, FreeFrom{&memory}), dtype_(dtype), shape_(shape) {
  data_.reset(memory.allocate(static_cast<size_t>(size_bytes())));
}

Tensor Tensor::host(DType dtype, Shape shape) {
  Tensor t(Memory::host(), dtype, shape);
  std::memset(t.view().raw(), 0, static_cast<size_t>(t.size_bytes()));
  return t;
}

Tensor Tensor::clone() const {
  if (empty()) return {};
  Tensor t(Memory::host(), dtype_, shape_);
  std::memcpy(t.view().raw(), data_.get(), static_cast<size_t>(size_bytes()));
  return t;
}

void require_shape(const char* name, const Shape& actual, const Shape& expected) {
  if (!(actual == expected))
    throw ShapeError("{} is {}, expected {}", name, actual.to_string(), expected.to_string());
}

void convert(ConstTensorView from, TensorView to) {
  LASTROW_CHECK(from.size() == to.size(), "{} elements into {}", from.size(), to.size());
  if (from.dtype() == to.dtype()) {
    std::memcpy(to.raw(), from.raw(), static_cast<size_t>(from.size_bytes()));
    return;
  }
  with_type(from.dtype(), [&]<typename From>(From) {
    with_type(to.dtype(), [&]<typename To>(To) {
      if constexpr (kPacked<From> || kPacked<To>) {
        LASTROW_CHECK(false, "{} to {} needs scales", name_of(from.dtype()), name_of(to.dtype()));
      } else {
        const From* source = from.data<From>();
        To* target = to.data<To>();
        for (int64_t i = 0; i < from.size(); ++i) target[i] = converted<To>(source[i]);
      }
    });
  });
}

}  // namespace lastrow
