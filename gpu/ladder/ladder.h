// The ladder: every attention kernel of this folder, by its number, for the target that this file is compiled
// for.
//
//   for (const Rung* rung : ladder()) if (rung->supports(task).empty()) …
//   const Rung& rung = choose(task);           the one that a backend takes
//   rung.launch(call, stream);                 call.scratch holds rung.scratch_elems(task) floats
#pragma once

#include <span>

#include "gpu/parts/attend_call.h"
#include "gpu/target/stream.h"

namespace lastrow::LASTROW_TARGET {

/// Whether K and V are stored in one type, with 8 bits or more.
inline bool has_plain_types(const gpu::AttendShape& shape) {
  return shape.kv_dtype.same() && !has_groups(shape.kv_dtype.k);
}

struct Rung {
  const char* name;    // "k05"
  const char* parent;  // the rung that it adds its idea to, "k03"; "": none
  const char* idea;    // a few words
  /// What supports says of a task with plain types.
  std::string (*supports_one_type)(const gpu::AttendTask& task);
  /// Floats of scratch memory that a call needs.
  int64_t (*scratch_elems)(const gpu::AttendTask& task);
  void (*launch)(const gpu::AttendCall& call, Stream stream);
  /// It always rounds q and p to the type of K/V: it takes only n_parts 1, and is judged by the rule for that.
  bool rounds = false;
  bool takes_pairs = false;  // supports_one_type also knows tasks with other types

  /// Why it cannot take the task ("it needs K/V in f32 or bf16"); empty if it can.
  std::string supports(const gpu::AttendTask& task) const {
    const KvDtypes types = task.shape.kv_dtype;
    if (takes_pairs || has_plain_types(task.shape)) return supports_one_type(task);
    return types.same() ? "it needs K/V with 8 bits or more" : "it needs K and V in the same type";
  }
};

extern const Rung k01, k02, k03, k04, k05, k06, k07a, k07b, k07, k08, k09, k10, k11a, k11b, k11, k12a, k12b,
    k12c, k12, k13;

/// All rungs, in order. Throws nothing; never empty.
std::span<const Rung* const> ladder();
/// The rung with this name. Throws UsageError, which lists the names, if there is none.
const Rung& rung(const std::string& name);
/// The rung that the backend takes for a task if no rung is forced:
///   16 queries of a sequence or more              k12, else k04
///   groups of 5 heads or more                     k11 (of 4 in 8 bits, and from 256 MB of K/V on)
///   otherwise                                     k08 for f32, k09 for narrower K/V, k13 for any pair
/// If that rung does not take the task, it is the next one down. ladder.cpp has the measured times that the
/// rules for decode rest on.
const Rung& choose(const gpu::AttendTask& task);

}  // namespace lastrow::LASTROW_TARGET
