// Bugs that real programs with a K/V cache had, each as a decorator that builds it into any backend.
//
//   auto backend = with_fault("scale-twice", make_backend("eigen"), config.group_size());
//   DecodeSession session(model, std::move(backend), {});       runs as ever, on wrong inputs
//   for (const Fault& fault : faults()) …                       all of them, for lists and exercises
//
// The model and the kernels are the healthy ones: what is wrong is the plan, the mask or the cache that they
// are handed, as it was in the programs. The caller's own plan and its counts are left as they were. Faults
// that count rows follow one sequence: batches of several are only for the others.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "backend/backend.h"

namespace lastrow::lessons {

struct Fault {
  std::string_view name;   // "scale-twice"
  std::string_view bug;    // what the program did: "the score is multiplied by the scale twice"
  std::string_view first;  // "step 1, layer 0, rope_q": the first operation that gives other numbers; "" if
                           // none does. Step 0 is the prefill.
};

std::span<const Fault> faults();

/// Owns the backend. group_size is what "repeat-kv" repeats by; 1 (MHA) leaves nothing to repeat.
/// Throws UsageError for a name that is no fault's, listing them.
std::unique_ptr<Backend> with_fault(const std::string& name, std::unique_ptr<Backend> backend,
                                    int32_t group_size);

}  // namespace lastrow::lessons
