#include "ops/embed.h"

namespace lastrow {

void Embed::check() const {
  require_rank("embedding table", table, 2);
  require_shape("embedded tokens", out.shape(), {batch.plan->n_tokens(), table.dim(1)});
  for (const int32_t token : batch.plan->tokens)
    if (token < 0 || token >= table.dim(0))
      throw ShapeError(
          "token {} is outside the vocabulary of {}: encode the text with the model's own tokenizer", token,
          table.dim(0));
}

}  // namespace lastrow
