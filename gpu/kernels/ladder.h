// The ladder: every attention kernel of this folder by its number, for the target that the file is compiled
// for.
//
//   for (const Rung* rung : ladder()) if (rung->supports(shape).empty()) …
//   const Rung& rung = choose(shape);          the one predicted to be the fastest; not measured yet
//   rung.launch(call, stream);                 call.scratch holds rung.scratch_elems(shape) floats
#pragma once

#include <span>

#include "gpu/kernels/attend_call.h"
#include "gpu/kernels/stream.h"

namespace lastrow::LASTROW_TARGET {

struct Rung {
  const char* name;  // "k05"
  const char* idea;  // a few words
  /// Why it cannot take the shape; empty if it can.
  std::string (*supports)(const gpu::AttendShape& shape);
  /// Floats of scratch memory that a call needs.
  int64_t (*scratch_elems)(const gpu::AttendShape& shape);
  void (*launch)(const gpu::AttendCall& call, Stream stream);
};

extern const Rung k01, k02, k03, k04, k05, k06, k07, k08, k09, k10, k11, k12;

/// In order. Throws nothing; never empty.
std::span<const Rung* const> ladder();
/// By name. Throws UsageError naming those there are.
const Rung& rung(const std::string& name);
/// The one that the backend takes for a shape when none is forced: for 16 queries of a sequence or more k12
/// or k04, else for groups of 5 heads or more, in 8 bits of 4, k11, else k08 for f32 and k09 for narrower
/// K/V; where that one does not take the shape, the next one down. A prediction until the ladder has been
/// timed on a GPU (gpu/README.md).
const Rung& choose(const gpu::AttendShape& shape);

}  // namespace lastrow::LASTROW_TARGET
