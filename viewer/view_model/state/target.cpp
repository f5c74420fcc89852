#include "viewer/view_model/state/target.h"

#include <array>
#include <cstddef>

namespace lastrow::view {

const char* name_of(Part part) {
  constexpr std::array<const char*, 8> kNames{"none", "q", "k", "v", "score", "weight", "output", "token"};
  return kNames[static_cast<size_t>(part)];
}

}  // namespace lastrow::view
