// Checks of the arguments that are not operands: plans, stored rows and block copies. Every backend calls
// them first, so all backends report the same errors. An operation checks its own operands (ops/).
//
//   checks::plan(plan, storage);     at the start of begin_step
//
// Each function throws a ShapeError that says what is wrong and what to do. None of them changes anything.
#pragma once

#include "backend/backend.h"

namespace lastrow::checks {

void rows(const KvStorage& storage, int32_t layer, std::span<const int64_t> slots, ConstTensorView host);
/// Copies are of blocks of group 0 (CacheSpec::group).
void copy_blocks(const KvStorage& storage, std::span<const BlockCopy> copies);
/// The plan's arrays have the right lengths, and all its slots and blocks are in the storage.
void plan(const StepPlan& plan, const KvStorage& storage);

}  // namespace lastrow::checks
