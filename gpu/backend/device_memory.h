// The memory of one device backend. It counts and numbers every allocation, and may have a limit.
//
//   Tensor t(runtime.memory(), DType::f32, shape);
//   memory.n_allocations()        so far; the next allocation gets this number
//   memory.take_oldest_freed()    the smallest number that was freed since the last call
//   memory.limit(1 << 20);        from now on at most 1 MiB can be in use
//
// A recorded step uses only memory that was allocated before it was recorded. So it may be run again as long
// as no allocation with a number below n_allocations() at its recording has been freed. step_records.h checks
// this.
// * One thread at a time, like the backend.
//
// Invariant: it lives until both its owner and its last allocation are gone. So a tensor may outlive its
// backend.
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

  /// Throws CapacityError, which gives the sizes.
  void* allocate(size_t bytes) final;
  void free(void* data) noexcept final;

  int64_t n_allocations() const { return n_allocations_; }
  int64_t bytes_in_use() const { return bytes_in_use_; }
  /// kNone if nothing was freed.
  int64_t take_oldest_freed() { return std::exchange(oldest_freed_, kNone); }
  /// kNone: only the device's own limit.
  void limit(int64_t bytes) { limit_bytes_ = bytes; }

  /// The deleter for its owner's pointer.
  struct Release {
    void operator()(DeviceMemory* memory) const noexcept;
  };

 protected:
  virtual void* take(size_t bytes) = 0;  // null: the device has not enough left
  virtual void give_back(void* data) noexcept = 0;
  /// The free bytes of the device, and all its bytes.
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
