// A list that is nearly always empty or holds one element. The first element needs no heap. The race detector
// keeps such a list for each of thousands of elements of shared memory (races.h).
#pragma once

#include <vector>

namespace lastrow::simt {

template <typename T>
class ShortList {
 public:
  bool empty() const { return n_ == 0; }
  T* begin() { return n_ > 1 ? many_.data() : &one_; }
  T* end() { return begin() + n_; }
  const T* begin() const { return n_ > 1 ? many_.data() : &one_; }
  const T* end() const { return begin() + n_; }
  const T& front() const { return *begin(); }
  void push_back(const T& x) {
    if (n_ == 0) {
      one_ = x;
    } else {
      if (n_ == 1) many_.assign(1, one_);
      many_.push_back(x);
    }
    ++n_;
  }
  void clear() { n_ = 0; }

  /// An element that fits, or null. The search begins behind the one that was found last: threads mostly come
  /// in the same order again, and then the first look finds it.
  template <typename Fits>
  T* find(const Fits& fits) {
    T* const all = begin();
    for (int i = 0; i < n_; ++i) {
      if (next_ >= n_) next_ = 0;
      T& x = all[next_++];
      if (fits(x)) return &x;
    }
    return nullptr;
  }

 private:
  T one_{};
  std::vector<T> many_;  // all of them, if they are more than one
  int n_ = 0, next_ = 0;
};

}  // namespace lastrow::simt
