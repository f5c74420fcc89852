// The arrays on the device for one timed shape, and its calls.
//
//   TimedCall call(runtime, rung, shape, l2_bytes);
//   call.difference_from(other_rung)                            is the output right?
//   for (int64_t i = 0; …; ++i) call.launch(i % call.n_buffers());
//
// There are as many copies of K and V as take kTimesL2 times L2 together, so that calls which go round them
// read memory and not L2. There is one copy if it is that large by itself. The numbers are random. The blocks
// of paged shapes are in random places, as after a while of serving.
#pragma once

#include <cstddef>
#include <vector>

#include "gpu/backend/runtime.h"
#include "gpu/ladder/ladder.h"

namespace lastrow::LASTROW_TARGET {

constexpr int64_t kTimesL2 = 4;

/// 1 MiB of normally distributed numbers in this type, made once. Any part of it can serve as rows.
const std::vector<std::byte>& random_rows(DType dtype);
/// Repeats a pattern of bytes until the buffer is full.
void fill_with(Runtime& runtime, Tensor& buffer, const std::vector<std::byte>& pattern);

class TimedCall {
 public:
  /// All sequences have the same size. Throws CapacityError if the shape does not fit the device.
  TimedCall(Runtime& runtime, const Rung& rung, const gpu::AttendTask& task, int64_t l2_bytes);

  int64_t n_buffers() const { return n_buffers_; }
  /// Queues the call on buffer i < n_buffers().
  void launch(int64_t i);
  /// ‖out − other's out‖ / ‖other's out‖ on buffer 0 (agreement.h); ∞ if either has NaN or ∞.
  double difference_from(const Rung& other);

 private:
  Tensor make(int64_t bytes) { return Tensor(runtime_.memory(), DType::u8, {std::max<int64_t>(16, bytes)}); }
  void place(int64_t i);
  std::vector<float> run_for_output(const Rung& rung, const gpu::AttendCall& call);
  void make_rows(const gpu::AttendShape& shape, int64_t l2_bytes);
  void make_plan(const gpu::AttendShape& shape);
  template <typename T>
  static T* at(Tensor& buffer, int64_t begin_bytes = 0) {
    return reinterpret_cast<T*>(static_cast<std::byte*>(buffer.view().raw()) + begin_bytes);
  }

  Runtime& runtime_;
  const Rung& rung_;
  int64_t n_buffers_ = 0;
  int64_t row_bytes_ = 0, scale_bytes_ = 0;  // from the beginning of one K or V to that of the next
  Tensor rows_, scales_;                     // [n_buffers, K and V, …]
  Tensor plan_;                              // [q_start, kv_len, seq_of_token, block_tables]
  Tensor q_, out_, lse_, scratch_;
  gpu::AttendCall call_{};
};

}  // namespace lastrow::LASTROW_TARGET
