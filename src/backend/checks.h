// Do the arguments of what stands beside the operations fit: plans, stored rows, block copies? Asked at the door
// of every backend, in the same words. An operation checks its own operands (ops/).
//
// Each throws ShapeError naming what is wrong and what to do; none changes anything.
#pragma once

#include "backend/backend.h"

namespace lastrow::checks {

void rows(const KvStorage& storage, int32_t layer, std::span<const int64_t> slots, ConstTensorView host);
void copy_blocks(const KvStorage& storage, std::span<const BlockCopy> copies);
/// A plan against the storage it is to run on: lengths of its arrays, slots and blocks in range.
void plan(const StepPlan& plan, const KvStorage& storage);

}  // namespace lastrow::checks
