#include "ops/operands.h"

#include "ops/batch.h"

namespace lastrow {

void require_rank(const char* name, ConstTensorView x, int rank) {
  if (x.shape().rank() != rank)
    throw ShapeError("{} has shape {}: expected {} dimensions", name, x.shape().to_string(), rank);
}

void require_positions(const Batch& batch, int64_t n_positions, const char* what) {
  for (const int32_t position : batch.plan->effective_positions())
    if (position < 0 || position >= n_positions)
      throw ShapeError("position {} has no {}: the table was made for {} positions", position, what,
                       n_positions);
}

}  // namespace lastrow
