#include "gpu/backend/device_memory.h"

#include <algorithm>

#include "cost/memory.h"

namespace lastrow::LASTROW_TARGET {

void* DeviceMemory::allocate(size_t bytes) {
  const auto wanted = static_cast<int64_t>(bytes);
  void* const data = wanted > limit_bytes_ - bytes_in_use_ ? nullptr : take(std::max<size_t>(bytes, 1));
  if (data == nullptr) {
    auto [free, total] = free_and_total();
    if (limit_bytes_ != kNone) {
      total = std::min(total, limit_bytes_);
      free = std::clamp<int64_t>(total - bytes_in_use_, 0, free);
    }
    throw CapacityError(
        "cannot allocate {} of device memory: {} of {} are free; use a shorter context, fewer sequences or a "
        "narrower K/V dtype",
        gib_and_gb(wanted), gib_and_gb(free), gib_and_gb(total));
  }
  held_.emplace(data, Held{n_allocations_++, wanted});
  bytes_in_use_ += wanted;
  return data;
}

void DeviceMemory::free(void* data) noexcept {
  const auto held = held_.find(data);
  if (held == held_.end()) return;  // null
  oldest_freed_ = std::min(oldest_freed_, held->second.number);
  bytes_in_use_ -= held->second.bytes;
  held_.erase(held);
  give_back(data);
  if (released_ && held_.empty()) delete this;
}

void DeviceMemory::Release::operator()(DeviceMemory* memory) const noexcept {
  memory->released_ = true;
  if (memory->held_.empty()) delete memory;
}

}  // namespace lastrow::LASTROW_TARGET
