// An array of floats that copies share. A copy costs nothing; writing to one copy does not change the others.
//
//   Floats a(n);  float* p = a.own();         own memory, to write to
//   Floats b = a;                             shares the memory
//   b[3] = 1;                                 copies it first, because a shares it
//
// Several threads may read the same memory through different copies.
// Only one thread may use one Floats while it is written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace lastrow::view {

class Floats {
 public:
  Floats() = default;
  explicit Floats(int64_t n) : values_(std::make_shared<std::vector<float>>(static_cast<size_t>(n))) {}
  explicit Floats(std::vector<float> values)
      : values_(std::make_shared<std::vector<float>>(std::move(values))) {}

  bool empty() const { return !values_ || values_->empty(); }
  size_t size() const { return values_ ? values_->size() : 0; }
  int64_t bytes() const { return static_cast<int64_t>(size() * sizeof(float)); }
  const float* data() const { return values_ ? values_->data() : nullptr; }
  const float* begin() const { return data(); }
  const float* end() const { return data() + size(); }
  const float& operator[](size_t i) const { return (*values_)[i]; }
  operator const std::vector<float>&() const {
    static const std::vector<float> kNone;
    return values_ ? *values_ : kNone;
  }

  /// The memory, for writing. It is copied first if another Floats shares it.
  float* own() {
    if (!values_) return nullptr;
    if (values_.use_count() > 1) values_ = std::make_shared<std::vector<float>>(*values_);
    return values_->data();
  }
  float& operator[](size_t i) { return own()[i]; }
  /// The same for all copies that share memory; null if empty. Use it to count shared memory only once.
  const void* identity() const { return values_.get(); }

 private:
  std::shared_ptr<std::vector<float>> values_;
};

}  // namespace lastrow::view
