// K or V rows as textbooks keep them: each step makes a new tensor, copies all old rows into it,
// and adds the new rows at the end.
//
//   Concatenated k;   k.add(new_rows);   k.same_bits(stored)   k.written()
#pragma once

#include <cstring>

#include "lessons/support/compare.h"

namespace lastrow::lessons {

class Concatenated {
 public:
  /// new_rows [n, …], in host memory; always the same type and row shape
  void add(ConstTensorView new_rows) {
    const int64_t n = rows_.empty() ? 0 : rows_.shape()[0];
    Tensor longer = Tensor::host(new_rows.dtype(), new_rows.shape().with_rows(n + new_rows.n_rows()));
    if (n > 0) copy(rows_.view(), longer.view().rows(0, n));
    copy(new_rows, longer.view().rows(n, new_rows.n_rows()));
    rows_ = std::move(longer);
  }
  bool same_bits(ConstTensorView other) const { return lessons::same_bits(rows_.view(), other); }
  /// Bytes written so far, copies of old rows included.
  int64_t written() const { return written_; }

 private:
  void copy(ConstTensorView from, TensorView to) {
    std::memcpy(to.raw(), from.raw(), static_cast<size_t>(from.size_bytes()));
    written_ += from.size_bytes();
  }

  Tensor rows_;
  int64_t written_ = 0;
};

}  // namespace lastrow::lessons
