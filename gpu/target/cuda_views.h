// The views of simt/views.h as plain pointers: the same names, no checks, the same machine code as p[i].
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

/// Declares a static shared array of the block and a view of it, `const Shared<T> name`. n is a constant.
#define LASTROW_SHARED(T, name, n)                                    \
  __shared__ alignas(16) unsigned char name##_bytes[sizeof(T) * (n)]; \
  const Shared<T> name(reinterpret_cast<T*>(name##_bytes))

namespace lastrow::cuda {

/// N elements moved by one instruction.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vec {
  static_assert(sizeof(T) * N <= 16, "no instruction moves more than 16 bytes for one thread");
  T x[N];
};

template <typename T>
class View {
 public:
  using Value = std::remove_const_t<T>;
  View() = default;
  __host__ __device__ explicit View(T* p) : p_(p) {}

  __device__ Value load(int64_t i) const { return p_[i]; }
  __device__ void store(int64_t i, Value x) const { p_[i] = x; }
  template <int N>
  __device__ Vec<Value, N> load_vec(int64_t i) const {
    return *reinterpret_cast<const Vec<Value, N>*>(p_ + i);
  }
  /// Loads 16 bytes as four registers, whatever the elements are. Otherwise the compiler would merge loaded
  /// elements with zeros one by one, and so wait for each load before it begins the next.
  template <int N>
  __device__ Vec<Value, N> load_vec_or_zero(int64_t i, bool wanted) const {
    Vec<Value, N> v{};
    if constexpr (sizeof v == 16) {
      uint32_t words[4];
      asm volatile(
          "{ .reg .pred wanted; setp.ne.u32 wanted, %5, 0; mov.b32 %0, 0; mov.b32 %1, 0; mov.b32 %2, 0; "
          "mov.b32 %3, 0; @wanted ld.global.v4.b32 {%0, %1, %2, %3}, [%4]; }"
          : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
          : "l"(__cvta_generic_to_global(p_ + i)), "r"(wanted ? 1 : 0));
      memcpy(&v, words, sizeof v);
    } else if (wanted) {
      v = load_vec<N>(i);
    }
    return v;
  }
  template <int N>
  __device__ void store_vec(int64_t i, const Vec<Value, N>& v) const {
    *reinterpret_cast<Vec<Value, N>*>(p_ + i) = v;
  }
  __device__ Value atomic_add(int64_t i, Value x) const { return atomicAdd(p_ + i, x); }
  /// For instructions that take an address: asynchronous copies and matrix loads.
  __device__ T* pointer(int64_t i) const { return p_ + i; }

 protected:
  T* p_ = nullptr;
};

template <typename T>
class Global : public View<T> {
 public:
  Global() = default;
  __host__ __device__ Global(T* p, int64_t, const char*) : View<T>(p) {}
  /// A writable view converts to a read-only one.
  template <typename U>
  requires(std::is_same_v<const U, T>) __host__ __device__ Global(const Global<U>& other)
      : View<T>(other.p_) {}

 private:
  template <typename>
  friend class Global;
};

template <typename T>
class Shared : public View<T> {
 public:
  __device__ explicit Shared(T* p) : View<T>(p) {}
};

/// The dynamic shared memory of the block. take() gives it out from its start, in steps of 16 bytes.
class DynamicShared {
 public:
  template <typename T>
  __device__ Shared<T> take(int64_t n, const char*) {
    extern __shared__ __align__(16) unsigned char shared_bytes[];
    T* p = reinterpret_cast<T*>(shared_bytes + used_);
    used_ += (n * static_cast<int64_t>(sizeof(T)) + 15) / 16 * 16;
    return Shared<T>(p);
  }

 private:
  int64_t used_ = 0;
};

}  // namespace lastrow::cuda
