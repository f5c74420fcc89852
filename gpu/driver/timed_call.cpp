#include "gpu/driver/timed_call.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "cache/kv_codec.h"
#include "core/random.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int64_t kAlignment = 256;
int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::vector<std::byte> make_random_rows(DType dtype) {
  std::vector<std::byte> pattern(1 << 20);
  Random random(1);
  const auto n = static_cast<int64_t>(pattern.size() / size_of(dtype));
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = static_cast<float>(random.normal());
  const auto encode = [&]<typename T>(T) {
    encode_row(x.data(), static_cast<int32_t>(n), reinterpret_cast<T*>(pattern.data()));
  };
  switch (dtype) {
    case DType::f16:
      encode(Half{});
      break;
    case DType::bf16:
      encode(BFloat16{});
      break;
    case DType::fp8_e4m3:
      encode(Fp8E4M3{});
      break;
    case DType::i8:
      encode(int8_t{});
      break;
    default:
      encode(float{});
  }
  return pattern;
}

template <typename T>
std::vector<std::byte> as_bytes(const std::vector<T>& x) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(x.data());
  return {bytes, bytes + x.size() * sizeof(T)};
}

}  // namespace

const std::vector<std::byte>& random_rows(DType dtype) {
  static std::map<DType, std::vector<std::byte>> made;
  if (!made.contains(dtype)) made[dtype] = make_random_rows(dtype);
  return made[dtype];
}

/// Copies the part that is filled behind itself, which doubles it each time, until the buffer is full.
void fill_with(Runtime& runtime, Tensor& buffer, const std::vector<std::byte>& pattern) {
  const auto bytes = static_cast<int64_t>(pattern.size());
  const int64_t n = buffer.size_bytes();
  auto* const begin = static_cast<std::byte*>(buffer.view().raw());
  runtime.to_device(begin, pattern.data(), std::min(bytes, n));
  for (int64_t done = bytes; done < n; done *= 2)
    runtime.on_device(begin + done, begin, std::min(done, n - done));
}

TimedCall::TimedCall(Runtime& runtime, const Rung& rung, const gpu::AttendTask& task, int64_t l2_bytes)
    : runtime_(runtime), rung_(rung) {
  const gpu::AttendShape& s = task.shape;
  const int64_t n_heads = int64_t{s.n_tokens} * s.n_q_heads;
  call_.task = task;
  call_.spec = {1 / std::sqrt(static_cast<float>(s.head_dim)), {}};
  make_rows(s, l2_bytes);
  make_plan(s);
  q_ = make(4 * n_heads * s.head_dim), out_ = make(4 * n_heads * s.head_dim), lse_ = make(4 * n_heads);
  scratch_ = make(4 * rung.scratch_elems(task));
  fill_with(runtime, q_, random_rows(DType::f32));
  call_.q = at<float>(q_), call_.out = at<float>(out_), call_.lse = at<float>(lse_);
  call_.scratch = at<float>(scratch_);
}

void TimedCall::make_rows(const gpu::AttendShape& s, int64_t l2_bytes) {
  const int64_t n_rows = s.n_blocks * s.n_kv_heads * s.block_len,
                n_bytes = n_rows * s.head_dim * static_cast<int64_t>(size_of(s.kv_dtype.k));
  row_bytes_ = aligned(n_bytes), scale_bytes_ = aligned(n_rows * scale_bytes(s.kv_dtype.k));
  n_buffers_ = (kTimesL2 * l2_bytes + 2 * n_bytes - 1) / (2 * n_bytes);
  rows_ = make(n_buffers_ * 2 * row_bytes_), scales_ = make(n_buffers_ * 2 * scale_bytes_);
  fill_with(runtime_, rows_, random_rows(s.kv_dtype.k));
  fill_with(runtime_, scales_, as_bytes(std::vector<float>(1 << 18, 0.02f)));
}

void TimedCall::make_plan(const gpu::AttendShape& s) {
  std::vector<int32_t> plan;
  for (int32_t i = 0; i <= s.n_seqs; ++i) plan.push_back(i * s.max_q_len);
  const size_t kv_len = plan.size();
  plan.insert(plan.end(), s.n_seqs, s.max_kv_len);
  const size_t seq_of_token = plan.size();
  for (int32_t i = 0; i < s.n_seqs; ++i) plan.insert(plan.end(), s.max_q_len, i);
  const size_t tables = plan.size();
  for (int64_t b = 0; b < s.n_blocks; ++b) plan.push_back(static_cast<int32_t>(b));
  Random random(2);
  for (int64_t b = s.n_blocks - 1; b > 0; --b)
    std::swap(plan[tables + b], plan[tables + random.below(b + 1)]);

  const auto bytes = static_cast<int64_t>(plan.size() * sizeof(int32_t));
  plan_ = make(bytes);
  runtime_.to_device(plan_.view().raw(), plan.data(), bytes);
  const auto* const ints = at<const int32_t>(plan_);
  call_.q_start = ints, call_.kv_len = ints + kv_len, call_.seq_of_token = ints + seq_of_token;
  call_.block_tables = ints + tables;
}

void TimedCall::place(int64_t i) {
  call_.k = at<std::byte>(rows_, 2 * i * row_bytes_),
  call_.v = at<std::byte>(rows_, (2 * i + 1) * row_bytes_);
  if (scale_bytes_ > 0) {
    call_.k_scales = at<const float>(scales_, 2 * i * scale_bytes_);
    call_.v_scales = at<const float>(scales_, (2 * i + 1) * scale_bytes_);
  }
}

void TimedCall::launch(int64_t i) {
  place(i);
  rung_.launch(call_, runtime_.stream());
}

std::vector<float> TimedCall::run_for_output(const Rung& rung, const gpu::AttendCall& call) {
  fill_with(runtime_, out_, as_bytes(std::vector<float>(1 << 18, std::numeric_limits<float>::quiet_NaN())));
  rung.launch(call, runtime_.stream());
  std::vector<float> out(static_cast<size_t>(out_.size_bytes() / 4));
  runtime_.to_host(out.data(), out_.view().raw(), out_.size_bytes());
  return out;
}

double TimedCall::difference_from(const Rung& other) {
  place(0);
  const std::vector<float> own = run_for_output(rung_, call_);
  gpu::AttendCall exact = call_;
  exact.task.tuning.n_parts = 0;
  Tensor scratch = make(4 * other.scratch_elems(exact.task));
  exact.scratch = at<float>(scratch);
  const std::vector<float> others = run_for_output(other, exact);
  double difference = 0, size = 0;
  for (size_t i = 0; i < own.size(); ++i) {
    difference += (double{own[i]} - others[i]) * (double{own[i]} - others[i]);
    size += double{others[i]} * others[i];
  }
  const double relative = std::sqrt(difference / size);
  return std::isfinite(relative) ? relative : std::numeric_limits<double>::infinity();
}

}  // namespace lastrow::LASTROW_TARGET
