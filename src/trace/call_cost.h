// The cost of an operation from the operands of its call: shapes and types go into the formulas of
// cost/op_cost.h. What counts and what traces ask these same functions. Nothing here allocates or checks.
#pragma once

#include "backend/backend.h"
#include "cost/op_cost.h"

namespace lastrow::call_cost {

OpCost embed(ConstTensorView table, TensorView out);
OpCost rms_norm(ConstTensorView x, ConstTensorView weight);
OpCost linear(ConstTensorView x, ConstTensorView weight, ConstTensorView bias);
OpCost rope(TensorView x);
OpCost append(ConstTensorView k, const KvStorage& storage);
OpCost attend(ConstTensorView q, const KvStorage& storage, const StepPlan& plan, const AttendSpec& spec);
OpCost swiglu(ConstTensorView gate);
OpCost add(ConstTensorView y);
OpCost gather_rows(TensorView out);
OpCost argmax(ConstTensorView logits);
OpCost write_rows(const KvStorage& storage, int64_t n_rows, DType from);
OpCost copy_blocks(const KvStorage& storage, int64_t n_blocks);

/// Cells that the mask lets through, one query head, all sequences of the step.
int64_t visible_cells(const StepPlan& plan, MaskRule mask);

}  // namespace lastrow::call_cost
