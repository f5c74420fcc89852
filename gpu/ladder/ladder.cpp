#include "gpu/ladder/ladder.h"

#include "core/error.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr const Rung* kLadder[] = {&k01, &k02, &k03,  &k04,  &k05, &k06,  &k07a, &k07b, &k07, &k08,
                                   &k09, &k10, &k11a, &k11b, &k11, &k12a, &k12b, &k12c, &k12, &k13};

// A prefill reads K/V once per tile of queries: on tensor cores (k12) if the type allows it, else in shared memory
// (k04). Other decode than that of large groups takes the last rung for the type that has no asynchronous copies.
// Only k13 takes every pair of types.
//
// Measured for decode at head_dim 128 (H200, table in gpu/README.md; `gpu/measure`, or by hand
// `lastrow-kernels --time --kernel k09,k11 --only '128 decode'`), in µs:
//
//   heads per K/V head   type   K/V MB     k09     k11
//   1                    bf16      537   125.8   132.7
//   4                    bf16       17    10.4    14.5
//   4                    bf16      134    39.8    42.9
//   4                    bf16      537   142.8   133.5
//   4                    bf16     1074   265.5   254.4
//   4                    f16       537   143.5   131.7
//   4                    int8      277   124.5    80.6
//   4                    fp8       268   110.3    71.5
//   8                    bf16      537   201.5   133.6
//
// So 16-bit groups of 4 take k11 from 256 MB of K/V on: nothing between 134 and 537 MB was timed, and this is
// the middle. Groups of 5 to 7 were not timed, nor 8-bit groups of 4 over less than 256 MB.
constexpr int64_t kLargeKvBytes = 256'000'000;

/// Bytes of K and V that a decode reads at most.
int64_t kv_bytes(const gpu::AttendShape& s) {
  return int64_t{s.n_seqs} * s.max_kv_len * s.n_kv_heads *
         (stored_row_bytes(s.kv_dtype.k, s.head_dim) + stored_row_bytes(s.kv_dtype.v, s.head_dim));
}

/// The fewest heads per K/V head for which k11 is faster than k09.
int32_t least_group_for_products(const gpu::AttendShape& s) {
  return size_of(s.kv_dtype.k) == 1 || kv_bytes(s) >= kLargeKvBytes ? 4 : 5;
}

}  // namespace

std::span<const Rung* const> ladder() { return kLadder; }

const Rung& rung(const std::string& name) {
  std::string known;
  for (const Rung* rung : kLadder) {
    if (name == rung->name) return *rung;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", rung->name);
  }
  throw UsageError("unknown kernel '{}': use one of {}", name, known);
}

const Rung& choose(const gpu::AttendTask& task) {
  const gpu::AttendShape& shape = task.shape;
  constexpr int32_t kPrefill = 16;  // queries of a sequence from which a tile of K/V pays off
  if (shape.max_q_len >= kPrefill)
    for (const Rung* rung : {&k12, &k04})
      if (rung->supports(task).empty()) return *rung;
  if (shape.group_size() >= least_group_for_products(shape) && k11.supports(task).empty()) return k11;
  for (const Rung* rung : {shape.kv_dtype == DType::f32 ? &k08 : &k09, &k08, &k07, &k06, &k05, &k03, &k02})
    if (rung->supports(task).empty()) return *rung;
  return has_plain_types(shape) ? k01 : k13;
}

}  // namespace lastrow::LASTROW_TARGET
