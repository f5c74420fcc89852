#include "ops/append.h"

namespace lastrow {

void Append::check() const {
  require_layer(site, storage);
  const Shape expected{batch.plan->n_tokens(), storage.spec().n_kv_heads, storage.spec().head_dim};
  require_shape("new k", k.shape(), expected);
  require_shape("new v", v.shape(), expected);
}

}  // namespace lastrow
