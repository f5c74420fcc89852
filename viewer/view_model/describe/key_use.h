// Which keys a query of a step sees, and at which positions RoPE and ALiBi take them. All numbers are positions, unless
// a name says index.
#pragma once

#include <cstdint>
#include <vector>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

/// What a query of the step makes of a key.
enum class KeyUse : uint8_t {
  seen,
  later,       // the key comes after the query
  masked,      // it comes before the query's window
  not_stored,  // the cache has forgotten it
};
/// The query must be one that the side fed in this step.
KeyUse key_use(const SideData& s, int layer, int query_position, int key_position);
/// The positions of the keys that a query of the step sees, in ascending order.
std::vector<int> keys_seen(const SideData& s, int layer, int query_position);
int n_keys_seen(const SideData& s, int layer, int query_position);
/// The same keys by index.
VisibleKeys indices_seen(const SideData& s, int layer, int query_position);

// ---- new positions

/// What RoPE and ALiBi took as the position of a query or of a key, in the pass of the query.
int used_position(const SideData& s, int query_position);
int used_position(const SideData& s, int layer, int query_position, int key_position);
/// How far apart they are: what ALiBi goes by.
inline int used_distance(const SideData& s, int layer, int query_position, int key_position) {
  return used_position(s, query_position) - used_position(s, layer, query_position, key_position);
}
/// Whether k_row is the key as this query read it. Not if another pass has rotated it to another position since.
bool is_key_as_read(const SideData& s, int layer, int query_position, int key_position);

}  // namespace lastrow::view
