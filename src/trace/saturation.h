// Counts the elements of new K and V rows that the stored type cannot hold (cache/kv_range.h).
//
//   if (SaturationBackend::can_count(backend, dtypes)) …
//   SaturationBackend saturation(backend);
//   saturation.reset();
//   …a step through `saturation`…
//   saturation.n_saturated()       elements of K and V that became infinite, or the largest number of the type
//
// It looks at the rows on their way into the storage. So it never replays a step, and it is meant for backends that
// compute in the host's memory and never replay anyway: not for those that run kernels, on a GPU or emulated.
// * Put it inside a PokingBackend. Then it sees what is stored.
// * It allocates nothing if activations are f32.
#pragma once

#include <cstdint>

#include "cache/kv_codec.h"
#include "trace/forwarding.h"

namespace lastrow {

class SaturationBackend final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;

  /// Whether some element can be too large for these types at all. f32 holds every element, and int8 has a scale that
  /// fits the row.
  static bool can_saturate(KvDtypes dtypes);
  static bool can_count(const Backend& backend, KvDtypes dtypes) {
    return backend.info().in_host_memory && backend.info().emulator == nullptr && can_saturate(dtypes);
  }

  int64_t n_saturated() const { return n_saturated_; }
  void reset() { n_saturated_ = 0; }
  void run(const Op& op) override;

 private:
  int64_t n_saturated_ = 0;
};

}  // namespace lastrow
