#include "viewer/view_model/describe/key_use.h"

namespace lastrow::view {

VisibleKeys indices_seen(const SideData& s, int layer, int query_position) {
  return visible_keys(s.layers[static_cast<size_t>(layer)].mask, s.q_len, s.held(layer).n_keys(),
                      query_position - s.first_position);
}

KeyUse key_use(const SideData& s, int layer, int query_position, int key_position) {
  if (key_position > query_position) return KeyUse::later;
  const int index = index_of(s.held(layer).keys, key_position);
  if (index < 0) return KeyUse::not_stored;
  return indices_seen(s, layer, query_position).sees(index) ? KeyUse::seen : KeyUse::masked;
}

std::vector<int> keys_seen(const SideData& s, int layer, int query_position) {
  const VisibleKeys seen = indices_seen(s, layer, query_position);
  const std::vector<PlacedRow>& keys = s.held(layer).keys;
  std::vector<int> positions;
  for (int i = 0; i < seen.count(); ++i)
    positions.push_back(keys[static_cast<size_t>(seen.index(i))].position);
  return positions;
}

int n_keys_seen(const SideData& s, int layer, int query_position) {
  return indices_seen(s, layer, query_position).count();
}

int used_position(const SideData& s, int query_position) {
  if (s.new_positions.empty()) return query_position;
  return s.new_positions[static_cast<size_t>(query_position - s.first_position)];
}

int used_position(const SideData& s, int layer, int query_position, int key_position) {
  if (s.new_positions.empty() || key_position < s.layers[static_cast<size_t>(layer)].mask.sinks)
    return key_position;
  return used_position(s, query_position) - (query_position - key_position);  // the ring has no gaps
}

bool is_key_as_read(const SideData& s, int layer, int query_position, int key_position) {
  if (s.new_positions.empty()) return true;
  const std::vector<PlacedRow>& keys = s.held(layer).keys;
  const int index = index_of(keys, key_position);
  return index >= 0 && keys[static_cast<size_t>(index)].new_position ==
                           used_position(s, layer, query_position, key_position);
}

}  // namespace lastrow::view
