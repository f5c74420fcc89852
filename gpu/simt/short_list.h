// A list that is nearly always empty or holds one element. The first element needs no heap. The race detector
// keeps such a list for each of many thousands of elements of memory (races.h), so it is small: 32 bytes for elements
// of 12. It keeps its memory when it is cleared.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

namespace lastrow::simt {

template <typename T>
class ShortList {
 public:
  bool empty() const { return n_ == 0; }
  T* begin() { return n_ > 1 ? many_.get() : &one_; }
  T* end() { return begin() + n_; }
  const T* begin() const { return n_ > 1 ? many_.get() : &one_; }
  const T* end() const { return begin() + n_; }
  const T& front() const { return *begin(); }
  void push_back(const T& x) {
    if (n_ == 0) {
      one_ = x;
    } else {
      if (n_ >= room_) grow();
      if (n_ == 1) many_[0] = one_;
      many_[n_] = x;
    }
    ++n_;
  }
  void clear() { n_ = 0; }

  /// An element that fits, or null. The search begins behind the one that was found last: threads mostly come
  /// in the same order again, and then the first look finds it.
  template <typename Fits>
  T* find(const Fits& fits) {
    T* const all = begin();
    for (uint32_t i = 0; i < n_; ++i) {
      if (next_ >= n_) next_ = 0;
      T& x = all[next_++];
      if (fits(x)) return &x;
    }
    return nullptr;
  }

 private:
  void grow() {
    const uint32_t room = std::max(4u, 2 * room_);
    auto larger = std::make_unique<T[]>(room);
    std::copy(begin(), end(), larger.get());
    many_ = std::move(larger);
    room_ = room;
  }

  std::unique_ptr<T[]> many_;  // all of them, if they are more than one
  T one_{};
  uint32_t n_ = 0;
  uint32_t next_ = 0, room_ = 0;
};

}  // namespace lastrow::simt
