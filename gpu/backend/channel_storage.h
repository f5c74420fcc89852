// What kernels take as K with scales for channels (gpu/parts/attend_call.h), from the storage that holds it.
#pragma once

#include "gpu/parts/attend_call.h"
#include "ops/kv_storage.h"

namespace lastrow::LASTROW_TARGET {

/// Storage: KvStorage or const KvStorage. open_blocks: the array on the device.
template <typename Storage>
auto channel_storage(Storage& storage, int32_t layer, const int32_t* open_blocks) {
  const auto codes = storage.rows(layer, RowKind::k);
  using Stored = std::remove_pointer_t<decltype(codes.raw())>;
  const CacheSpec& spec = storage.spec();
  return gpu::ChannelStorage<Stored>{.codes = codes.raw(),
                                     .scales = storage.scales(layer, RowKind::k).raw(),
                                     .open_keys = storage.open_keys(layer).raw(),
                                     .open_blocks = open_blocks,
                                     .layout = spec.layout(),
                                     .n_blocks = spec.n_blocks,
                                     .n_open_blocks = spec.n_open_blocks};
}

}  // namespace lastrow::LASTROW_TARGET
