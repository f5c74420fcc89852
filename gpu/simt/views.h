// Memory as kernel text sees it under the emulator. Views know their size, check each access, and report it to
// an observer. The CUDA build has views of the same names that are plain pointers (target/cuda_views.h).
//
//   Global<const float> q(pointer, n, "q")      made by the host, passed to kernels by value
//   x = q.load(i)      q.store(i, x)      v = q.load_vec<4>(i)      q.store_vec(i, v)      q.atomic_add(i, x)
//   v = q.load_vec_or_zero<4>(i, wanted)
//
//   LASTROW_SHARED(float, s_k, 128);                                static: the size is a constant
//   DynamicShared shared;                                           dynamic: one array after the other, each
//   Shared<float> s_q = shared.take<float>(n, "s_q");               aligned to 16 bytes
//
// An index counts elements. A vector access must be aligned to its own size (at most 16 bytes). Bounds and
// alignment are always checked, with and without an observer.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "gpu/simt/block.h"

/// Declares a static shared array of the block and a view of it, `const Shared<T> name`. n is a constant.
#define LASTROW_SHARED(T, name, n) const auto name = ::lastrow::simt::shared_array<T, n>(#name)

namespace lastrow::simt {

/// N elements moved by one instruction.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vec {
  static_assert(sizeof(T) * N <= 16, "no instruction moves more than 16 bytes for one thread");
  T x[N];
};

namespace detail {
[[noreturn]] void out_of_bounds(Access access, const char* name, int64_t i, int32_t n_accessed, int64_t n,
                                Here here);
[[noreturn]] void misaligned(const char* name, int64_t i, int32_t bytes, Here here);

/// fetch_add for types that have none: reads, adds, and tries to write the sum back.
template <typename T>
T atomic_add(T* p, T x) {
  std::atomic_ref<T> target(*p);
  T old = target.load(std::memory_order_relaxed);
  while (!target.compare_exchange_weak(old, old + x, std::memory_order_relaxed)) {
  }
  return old;
}
}  // namespace detail

/// The common part of Global and Shared. Derived reports to the observer.
template <typename Derived, typename T>
class View {
 public:
  using Value = std::remove_const_t<T>;

  Value load(int64_t i, Here here = Here::current()) const {
    touch<1>(Access::load, i, here);
    return p_[i];
  }
  void store(int64_t i, Value x, Here here = Here::current()) const {
    touch<1>(Access::store, i, here);
    p_[i] = x;
  }
  template <int N>
  Vec<Value, N> load_vec(int64_t i, Here here = Here::current()) const {
    touch<N>(Access::load, i, here);
    Vec<Value, N> v;
    for (int j = 0; j < N; ++j) v.x[j] = p_[i + j];
    return v;
  }
  /// If `wanted` is false, returns zeros and accesses nothing, so i may be any number.
  template <int N>
  Vec<Value, N> load_vec_or_zero(int64_t i, bool wanted, Here here = Here::current()) const {
    return wanted ? load_vec<N>(i, here) : Vec<Value, N>{};
  }
  template <int N>
  void store_vec(int64_t i, const Vec<Value, N>& v, Here here = Here::current()) const {
    touch<N>(Access::store, i, here);
    for (int j = 0; j < N; ++j) p_[i + j] = v.x[j];
  }
  /// Returns the value before.
  Value atomic_add(int64_t i, Value x, Here here = Here::current()) const {
    touch<1>(Access::atomic, i, here);
    return detail::atomic_add(p_ + i, x);
  }
  int64_t size() const { return n_; }

 protected:
  View() = default;
  View(T* p, int64_t n, const char* name) : p_(p), n_(n), name_(name) {}
  template <int N>
  void touch(Access access, int64_t i, Here here) const {
    check_place<N>(access, i, here);
    if (self().observer != nullptr) [[unlikely]]
      static_cast<const Derived*>(this)->tell(access, i, N, here);
  }
  template <int N>
  void check_place(Access access, int64_t i, Here here) const {
    if (i < 0 || i + N > n_) [[unlikely]]
      detail::out_of_bounds(access, name_, i, N, n_, here);
    if (N > 1 && reinterpret_cast<uintptr_t>(p_ + i) % alignof(Vec<Value, N>) != 0) [[unlikely]]
      detail::misaligned(name_, i, sizeof(Vec<Value, N>), here);
  }

  T* p_ = nullptr;
  int64_t n_ = 0;
  const char* name_ = "";
};

/// Memory of the device, which the host passes to a kernel.
template <typename T>
class Global : public View<Global<T>, T> {
  using Base = View<Global<T>, T>;

 public:
  Global() = default;
  Global(T* p, int64_t n, const char* name) : Base(p, n, name) {}
  /// A writable view converts to a read-only one.
  operator Global<const T>() const requires(!std::is_const_v<T>) { return {Base::p_, Base::n_, Base::name_}; }

  /// An asynchronous copy reads N elements (target/async_copy.h) from hold to release.
  template <int N>
  void hold(int64_t i, Here here) const {
    const Thread& thread = self();
    if (thread.observer != nullptr) thread.observer->source_held(thread, array(), i, N, here);
  }
  template <int N>
  void release(int64_t i, Here here) const {
    const Thread& thread = self();
    if (thread.observer != nullptr) thread.observer->source_released(thread, array(), i, N, here);
  }

 private:
  friend Base;
  GlobalArray array() const {
    return {Base::name_, reinterpret_cast<uint64_t>(Base::p_), Base::n_, sizeof(T), !std::is_const_v<T>};
  }
  void tell(Access access, int64_t i, int32_t n_accessed, Here here) const {
    const Thread& thread = self();
    thread.observer->global(thread, access, array(), i, n_accessed, here);
  }
};

/// Memory of the block: only its threads see it, and it lasts as long as the block.
template <typename T>
class Shared : public View<Shared<T>, T> {
  using Base = View<Shared<T>, T>;

 public:
  explicit Shared(const SharedArray& array)
      : Base(reinterpret_cast<T*>(array.data), array.n, array.name), array_(&array) {}

  /// An asynchronous copy to N elements (target/async_copy.h): when it begins, and when v arrives.
  template <int N>
  void copy_begins(int64_t i, Here here) const {
    Base::template check_place<N>(Access::copy, i, here);
    const Thread& thread = self();
    if (thread.observer != nullptr) thread.observer->copy_begins(thread, *array_, i, N, here);
  }
  template <int N>
  void copy_lands(int64_t i, const Vec<T, N>& v, Here here) const {
    Base::template touch<N>(Access::copy, i, here);
    for (int j = 0; j < N; ++j) Base::p_[i + j] = v.x[j];
  }

 private:
  friend Base;
  void tell(Access access, int64_t i, int32_t n_accessed, Here here) const {
    const Thread& thread = self();
    thread.observer->shared(thread, access, *array_, i, n_accessed, here);
  }
  const SharedArray* array_;
};

template <typename T, int64_t N>
Shared<T> shared_array(const char* name, Here here = Here::current()) {
  return Shared<T>(self().block->declare_shared(name, N, sizeof(T), false, here));
}

class DynamicShared {
 public:
  template <typename T>
  Shared<T> take(int64_t n, const char* name, Here here = Here::current()) const {
    return Shared<T>(self().block->declare_shared(name, n, sizeof(T), true, here));
  }
};

}  // namespace lastrow::simt
