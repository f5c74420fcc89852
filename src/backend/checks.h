// Do the operands of an operation fit each other? Asked at the door of every backend, in the same words.
//
// Each throws ShapeError naming the operand, what it is and what it should be; none changes anything.
#pragma once

#include "backend/backend.h"

namespace lastrow::checks {

void embed(ConstTensorView table, const Batch& batch, ConstTensorView out);
void rms_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView out);
void linear(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, ConstTensorView out);
void rope(const RopeTable& table, const Batch& batch, ConstTensorView x);
void append(Site site, ConstTensorView k, ConstTensorView v, const Batch& batch, const KvStorage& storage);
void attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch, ConstTensorView out,
            ConstTensorView lse);
/// Returns the sequence that all selected rows belong to.
int32_t probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch, ConstTensorView lse,
              const ProbeSelection& selection, ConstTensorView scores, ConstTensorView probs,
              ConstTensorView lse_distance);
void same_shape(const char* name, ConstTensorView x, ConstTensorView out);
void gather_rows(ConstTensorView x, const Batch& batch, ConstTensorView out);
void argmax(ConstTensorView logits, ConstTensorView ids);
void rows(const KvStorage& storage, int32_t layer, std::span<const int64_t> slots, ConstTensorView host);
void copy_blocks(const KvStorage& storage, std::span<const BlockCopy> copies);
/// A plan against the storage it is to run on: lengths of its arrays, slots and blocks in range.
void plan(const StepPlan& plan, const KvStorage& storage);

}  // namespace lastrow::checks
