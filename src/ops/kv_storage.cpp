#include "ops/kv_storage.h"

namespace lastrow {

void require_layer(Site site, const KvStorage& storage) {
  if (site.layer < 0 || site.layer >= storage.spec().n_layers)
    throw ShapeError(
        "{}: layer {} of a cache with {} layers: make the storage from the model's own CacheSpec", site.name,
        site.layer, storage.spec().n_layers);
}

}  // namespace lastrow
