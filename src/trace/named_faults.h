// Named faults: bugs that real programs with a K/V cache had. Each can be built into any backend.
//
//   auto backend = with_fault("scale-twice", make_backend("eigen"), config.group_size());
//   DecodeSession session(model, std::move(backend), {});       runs as always, on wrong inputs
//   for (const Fault& fault : faults()) …                       all of them, for lists and exercises
//
// The model and the kernels stay correct. A fault changes the plan, the mask or the cache that they get, as
// the bug did in the real program. The caller's own plan and its counts do not change. Faults that change
// only one number are made here; larger ones are in length_faults.h, prefix_faults.h and hidden_past.h.
// * Use stale-rows, early-length and window-short with one sequence only, because they count its rows.
// * Fault::needs says in which kind of run the fault shows. In other runs it may change nothing.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "backend/backend.h"

namespace lastrow {

struct Fault {
  std::string_view name;  // "scale-twice"
  std::string_view bug;   // what the program did: "the score is multiplied by the scale twice"
  /// The first operation with wrong numbers: "step 1, layer 0, rope_q". Steps count from 0, the first
  /// step of the prefill. "": none.
  std::string_view first;
  /// The run that shows it. "": one text in steps of one token, after another text and a reset. Else:
  ///   "paged"    the same on a paged cache, in a step that does not fill its last block
  ///   "chunks"   a prefill in two chunks or a second turn; step 1 is the first step of several tokens on a
  ///              cache that holds rows
  ///   "batch"    sequences of different lengths; step 1 is their first common decode
  ///   "prefix"   a paged cache that shares prefixes; step 1 is the prefill of a second text, which has a
  ///              block of tokens in common with the first
  ///   "window"   a model in which a layer with a window comes before one without (window_period 2); step 1 is
  ///              the first with more keys than the window
  ///   "forgetting"   a cache that keeps a window of rows at their positions. Step 0 fills the window, and when step
  ///              1 feeds a chunk, some rows are forgotten
  ///   "int8-channel"   a paged cache with K as int8-channel, before it seals a block
  ///   "new-positions"   a cache that uses new positions, and has forgotten some rows at step 1
  std::string_view needs = "";
};

std::span<const Fault> faults();

/// The result owns `backend`. "repeat-kv" stores group_size copies of each row; with group_size 1 (MHA) it
/// changes nothing. Throws UsageError for an unknown name; the message lists the known names.
std::unique_ptr<Backend> with_fault(const std::string& name, std::unique_ptr<Backend> backend,
                                    int32_t group_size);

}  // namespace lastrow
