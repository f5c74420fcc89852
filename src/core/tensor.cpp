#include "core/tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace lastrow {
namespace {

class HostMemory final : public Memory {
 public:
  void* allocate(size_t bytes) override {
    constexpr size_t kAlignment = 64;
    const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    void* data = std::aligned_alloc(kAlignment, rounded == 0 ? kAlignment : rounded);
    if (data == nullptr)
      throw CapacityError("cannot allocate {} bytes of host memory: use a smaller model or context", bytes);
    return data;
  }
  void free(void* data) noexcept override { std::free(data); }
};

template <typename T>
double widen(T x) {
  if constexpr (std::is_arithmetic_v<T>)
    return static_cast<double>(x);
  else
    return static_cast<double>(to_float(x));
}

template <typename T>
T narrow(double x) {
  if constexpr (std::is_same_v<T, Half>)
    return to_half(static_cast<float>(x));
  else if constexpr (std::is_same_v<T, BFloat16>)
    return to_bfloat16(static_cast<float>(x));
  else if constexpr (std::is_same_v<T, Fp8E4M3>)
    return to_fp8_e4m3(static_cast<float>(x));
  else
    return static_cast<T>(x);
}

template <typename F>
void with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f(double{});
    case DType::f32:
      return f(float{});
    case DType::f16:
      return f(Half{});
    case DType::bf16:
      return f(BFloat16{});
    case DType::fp8_e4m3:
      return f(Fp8E4M3{});
    case DType::i64:
      return f(int64_t{});
    case DType::i32:
      return f(int32_t{});
    case DType::i8:
      return f(int8_t{});
    case DType::u8:
      return f(uint8_t{});
  }
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
      const From* source = from.data<From>();
      To* target = to.data<To>();
      for (int64_t i = 0; i < from.size(); ++i) target[i] = narrow<To>(widen(source[i]));
    });
  });
}

}  // namespace lastrow
