// The memory of one device backend: every allocation counted and numbered, and bounded where that is asked.
//
//   Tensor t(runtime.memory(), DType::f32, shape);
//   memory.n_allocations()        so far; the next one gets this number
//   memory.take_oldest_freed()    the least number freed since it was last asked
//   memory.limit(1 << 20);        from now on it is full at a MiB
//
// A recorded step uses what was allocated before it was recorded. So it may be run again as long as nothing
// with a lower number than n_allocations() at its recording has been freed: step_records.h asks.
// * One thread at a time, like the backend.
//
// Invariant: it lives as long as its owner or its last allocation, whichever ends later, so that a tensor may
// outlive its backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "core/tensor.h"

namespace lastrow::LASTROW_TARGET {

class DeviceMemory : public Memory {
 public:
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();

  /// Throws CapacityError with sizes.
  void* allocate(size_t bytes) final;
  void free(void* data) noexcept final;

  int64_t n_allocations() const { return n_allocations_; }
  int64_t bytes_in_use() const { return bytes_in_use_; }
  /// kNone where none was freed.
  int64_t take_oldest_freed() { return std::exchange(oldest_freed_, kNone); }
  /// kNone: no limit but the device's own.
  void limit(int64_t bytes) { limit_bytes_ = bytes; }

  /// For its owner, in place of delete.
  struct Release {
    void operator()(DeviceMemory* memory) const noexcept;
  };

 protected:
  virtual void* take(size_t bytes) = 0;  // null: the device has no more
  virtual void give_back(void* data) noexcept = 0;
  /// Bytes that the device has left, and has.
  virtual std::pair<int64_t, int64_t> free_and_total() const = 0;

 private:
  struct Held {
    int64_t number, bytes;
  };
  std::map<void*, Held> held_;
  int64_t n_allocations_ = 0, bytes_in_use_ = 0, oldest_freed_ = kNone, limit_bytes_ = kNone;
  bool released_ = false;
};

template <typename Of, typename... Args>
std::unique_ptr<Of, DeviceMemory::Release> make_memory(Args&&... args) {
  return std::unique_ptr<Of, DeviceMemory::Release>(new Of(std::forward<Args>(args)...));
}

}  // namespace lastrow::LASTROW_TARGET
