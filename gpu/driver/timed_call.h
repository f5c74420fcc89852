// The device's arrays of one timed shape, and its calls.
//
//   TimedCall call(runtime, rung, shape, l2_bytes);
//   call.difference_from(other_rung)                            is the output right?
//   for (int64_t i = 0; …; ++i) call.launch(i % call.n_buffers());
//
// K and V are there as often as makes kTimesL2 times L2, so that going round them reads memory and not L2:
// once where they are that large by themselves. Numbers are random; blocks of paged shapes lie anywhere, as
// after a while of serving.
#pragma once

#include <cstddef>
#include <vector>

#include "gpu/backend/runtime.h"
#include "gpu/kernels/ladder.h"

namespace lastrow::LASTROW_TARGET {

constexpr int64_t kTimesL2 = 4;

/// Encoded normal numbers, 1 MiB of them, made once: any part of it is rows of the type.
const std::vector<std::byte>& random_rows(DType dtype);
/// Repetitions of a pattern of bytes, until the buffer is full.
void fill_with(Runtime& runtime, Tensor& buffer, const std::vector<std::byte>& pattern);

class TimedCall {
 public:
  /// Sequences of equal sizes. Throws CapacityError for a shape that does not fit.
  TimedCall(Runtime& runtime, const Rung& rung, const gpu::AttendShape& shape, int64_t l2_bytes);

  int64_t n_buffers() const { return n_buffers_; }
  /// Queues the call on buffer i < n_buffers().
  void launch(int64_t i);
  /// ‖out − other's out‖ / ‖other's out‖ on buffer 0 (agreement.h); ∞ where a number of either is none.
  double difference_from(const Rung& other);

 private:
  Tensor make(int64_t bytes) { return Tensor(runtime_.memory(), DType::u8, {std::max<int64_t>(16, bytes)}); }
  void place(int64_t i);
  std::vector<float> output_of(const Rung& rung, const gpu::AttendCall& call);
  void make_rows(const gpu::AttendShape& shape, int64_t l2_bytes);
  void make_plan(const gpu::AttendShape& shape);
  template <typename T>
  static T* at(Tensor& buffer, int64_t begin_bytes = 0) {
    return reinterpret_cast<T*>(static_cast<std::byte*>(buffer.view().raw()) + begin_bytes);
  }

  Runtime& runtime_;
  const Rung& rung_;
  int64_t n_buffers_ = 0;
  int64_t row_bytes_ = 0, scale_bytes_ = 0;  // of K, or of V, from one's beginning to the next's
  Tensor rows_, scales_;                     // [n_buffers, K and V, …]
  Tensor plan_;                              // [q_start, kv_len, seq_of_token, block_tables]
  Tensor q_, out_, lse_, scratch_;
  gpu::AttendCall call_{};
};

}  // namespace lastrow::LASTROW_TARGET
