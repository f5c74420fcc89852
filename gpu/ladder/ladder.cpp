#include "gpu/ladder/ladder.h"

#include "core/error.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr const Rung* kLadder[] = {&k01, &k02, &k03,  &k04,  &k05, &k06,  &k07a, &k07b, &k07, &k08,
                                   &k09, &k10, &k11a, &k11b, &k11, &k12a, &k12b, &k12c, &k12, &k13};

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

// A prediction: no GPU has been timed yet. A prefill reads K/V once per tile of queries: on tensor cores
// (k12) if the type allows it, else in shared memory (k04). Decode in groups of 5 heads or more (4 in 8 bits)
// takes k11: without tensor cores it needs more instructions per byte than a multiprocessor issues in time.
// All other decode takes the last rung for the type that has no asynchronous copies: these help only where
// loads alone leave too few bytes in flight, which k10's header expects of groups of 5 to 8 and of short
// splits. Only k13 takes every pair of types.
const Rung& choose(const gpu::AttendTask& task) {
  const gpu::AttendShape& shape = task.shape;
  constexpr int32_t kPrefill = 16;  // queries of a sequence from which a tile of K/V pays off
  const int32_t group = size_of(shape.kv_dtype.k) == 1 ? 4 : 5;  // heads from which k11's products pay off
  if (shape.max_q_len >= kPrefill)
    for (const Rung* rung : {&k12, &k04})
      if (rung->supports(task).empty()) return *rung;
  if (shape.group_size() >= group && k11.supports(task).empty()) return k11;
  for (const Rung* rung : {shape.kv_dtype == DType::f32 ? &k08 : &k09, &k08, &k07, &k06, &k05, &k03, &k02})
    if (rung->supports(task).empty()) return *rung;
  return has_plain_types(shape) ? k01 : k13;
}

}  // namespace lastrow::LASTROW_TARGET
