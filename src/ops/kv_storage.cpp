#include "ops/kv_storage.h"

namespace lastrow {

void require_layer(Site site, const KvStorage& storage) {
  if (site.layer < 0 || site.layer >= storage.spec().n_layers)
    throw ShapeError(
        "{}: layer {} of a cache with {} layers: make the storage from the model's own CacheSpec", site.name,
        site.layer, storage.spec().n_layers);
}

void require_rotated(ConstTensorView keys, const KvStorage& storage) {
  const CacheSpec& spec = storage.spec();
  require_shape("rotated keys", keys.shape(),
                {spec.n_blocks, spec.n_kv_heads, spec.block_len, spec.head_dim});
}

}  // namespace lastrow
