#include "ops/linear.h"

namespace lastrow {

void Linear::check() const {
  require_rank("linear input", x, 2);
  require_rank("linear weight", weight, 2);
  if (weight.dim(1) != x.dim(1))
    throw ShapeError("linear: weight {} does not take rows of {} elements: give it [out, {}]",
                     weight.shape().to_string(), x.dim(1), x.dim(1));
  if (!bias.empty()) require_shape("linear bias", bias.shape(), {weight.dim(0)});
  require_shape("linear output", out.shape(), {x.dim(0), weight.dim(0)});
}

}  // namespace lastrow
