// Tensors, which own memory, and views, which do not.
//
//   Tensor x = Tensor::host(DType::f32, {n_tokens, model_dim});    owns its memory; copied only by clone()
//   TensorView v = x.view();                                       does not own; cheap; passed by value
//   v.rows(4, 1)                                                   row 4 alone
//   v.reshaped({n, h, d})                                          the same elements in another shape
//   float* p = v.data<float>();                                    checks the dtype
//
// All tensors are dense and row-major: slowest index first, last index contiguous.
// A tensor may lie in the memory of a device. Never dereference its data<T>() on the host: let the backend
// download it.
// Invariant: a view never reaches past the memory that it was made from. rows() and reshaped() check this.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <type_traits>

#include "core/dtype.h"
#include "core/error.h"

namespace lastrow {

/// Up to four dimensions, held by value: a shape never uses the heap.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<int64_t> dims) {
    LASTROW_CHECK(dims.size() <= kMaxRank, "rank {}", dims.size());
    for (int64_t d : dims) dims_[rank_++] = d;
  }

  constexpr int rank() const { return rank_; }
  constexpr int64_t operator[](int i) const { return dims_[i]; }
  constexpr int64_t size() const {  // number of elements; 1 for rank 0
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[i];
    return n;
  }
  /// The same shape with its first dimension replaced.
  constexpr Shape with_rows(int64_t n_rows) const {
    Shape s = *this;
    s.dims_[0] = n_rows;
    return s;
  }
  /// Number of elements of one row: the product of all dimensions but the first.
  constexpr int64_t row_size() const { return rank_ == 0 || dims_[0] == 0 ? tail_size() : size() / dims_[0]; }
  constexpr bool operator==(const Shape&) const = default;
  std::string to_string() const;  // "[4, 8, 16]"

 private:
  constexpr int64_t tail_size() const {
    int64_t n = 1;
    for (int i = 1; i < rank_; ++i) n *= dims_[i];
    return n;
  }
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

/// A view of a tensor that something else owns. Void is `void` (writable) or `const void` (read-only).
template <typename Void>
class BasicView {
 public:
  static constexpr bool kReadOnly = std::is_const_v<Void>;
  template <typename T>
  using Element = std::conditional_t<kReadOnly, const T, T>;

  BasicView() = default;
  BasicView(Void* data, DType dtype, Shape shape) : data_(data), dtype_(dtype), shape_(shape) {}
  template <typename T>
  BasicView(T* data, Shape shape) : data_(data), dtype_(dtype_of<std::remove_const_t<T>>), shape_(shape) {}
  /// A writable view converts to a read-only one.
  template <typename Other, typename = std::enable_if_t<kReadOnly && std::is_same_v<Other, void>>>
  BasicView(const BasicView<Other>& other)
      : data_(other.raw()), dtype_(other.dtype()), shape_(other.shape()) {}

  template <typename T>
  Element<T>* data() const {
    LASTROW_CHECK(dtype_of<T> == dtype_, "asked for {}, tensor is {}", name_of(dtype_of<T>), name_of(dtype_));
    return static_cast<Element<T>*>(data_);
  }
  Void* raw() const { return data_; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int i) const { return shape_[i]; }
  int64_t n_rows() const { return shape_[0]; }
  int64_t row_size() const { return shape_.row_size(); }
  int64_t size() const { return shape_.size(); }
  int64_t size_bytes() const { return size() * static_cast<int64_t>(size_of(dtype_)); }
  bool empty() const { return data_ == nullptr; }

  /// Rows [begin, begin + n) of the first dimension.
  BasicView rows(int64_t begin, int64_t n) const {
    LASTROW_CHECK(begin >= 0 && n >= 0 && begin + n <= shape_[0], "rows {}+{} of {}", begin, n, shape_[0]);
    auto* bytes = static_cast<Element<unsigned char>*>(data_);
    return {static_cast<Void*>(bytes + begin * row_size() * static_cast<int64_t>(size_of(dtype_))), dtype_,
            shape_.with_rows(n)};
  }
  /// The same elements in another shape of equal size.
  BasicView reshaped(Shape shape) const {
    LASTROW_CHECK(shape.size() == shape_.size(), "{} to {}", shape_.to_string(), shape.to_string());
    return {data_, dtype_, shape};
  }

 private:
  Void* data_ = nullptr;
  DType dtype_ = DType::f32;
  Shape shape_;
};

using TensorView = BasicView<void>;
using ConstTensorView = BasicView<const void>;

/// Where tensors live. A backend for a device has a Memory of its own.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual void* allocate(size_t bytes) = 0;  // aligned to 64 bytes; throws CapacityError with sizes
  virtual void free(void* data) noexcept = 0;
  static Memory& host();
};

/// Returns memory to the Memory that allocated it.
struct FreeFrom {
  Memory* memory = nullptr;
  void operator()(void* data) const noexcept { memory->free(data); }
};

/// Owns its elements. Moves; copies only through clone().
class Tensor {
 public:
  Tensor() = default;
  Tensor(Memory& memory, DType dtype, Shape shape);  // not initialised
  static Tensor host(DType dtype, Shape shape);      // zeroed

  TensorView view() { return {data_.get(), dtype_, shape_}; }
  ConstTensorView view() const { return {static_cast<const void*>(data_.get()), dtype_, shape_}; }
  /// A tensor may stand where a view of it is asked for, as long as it lives.
  operator TensorView() & { return view(); }
  operator ConstTensorView() const& { return view(); }
  operator ConstTensorView() const&& = delete;
  template <typename T>
  T* data() {
    return view().data<T>();
  }
  template <typename T>
  const T* data() const {
    return view().data<T>();
  }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t size() const { return shape_.size(); }
  int64_t size_bytes() const { return size() * static_cast<int64_t>(size_of(dtype_)); }
  bool empty() const { return data_ == nullptr; }
  /// A copy in host memory. Only for a host tensor.
  Tensor clone() const;

 private:
  std::unique_ptr<void, FreeFrom> data_;
  DType dtype_ = DType::f32;
  Shape shape_;
};

/// Throws ShapeError "name is [..], expected [..]" unless the shapes are equal.
void require_shape(const char* name, const Shape& actual, const Shape& expected);

/// Copies a host tensor element by element, and converts each element if the types differ:
///   to a floating type    rounds once, as conversions.h says; for f16, bf16 and fp8, i64 is first converted to f64
///   to an integer type    rounds towards zero; gives the nearest end outside the range, and 0 for NaN
/// fp4 and int4 have scales, so they are only copied (cache/kv_codec.h converts them).
void convert(ConstTensorView from, TensorView to);

}  // namespace lastrow
