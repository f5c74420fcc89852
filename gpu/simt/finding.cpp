#include "gpu/simt/finding.h"

namespace lastrow::simt {

const char* name_of(Finding finding) {
  switch (finding) {
    case Finding::barrier_not_reached:
      return "barrier not reached by all threads";
    case Finding::absent_lane:
      return "absent lane";
    case Finding::out_of_bounds:
      return "out of bounds";
    case Finding::misaligned:
      return "misaligned";
    case Finding::uninitialised_shared:
      return "uninitialised shared memory";
    case Finding::shared_race:
      return "race on shared memory";
    case Finding::global_race:
      return "race on global memory";
    case Finding::shared_layout:
      return "shared memory layout";
    case Finding::launch_limits:
      return "launch limits";
  }
  return "";
}

}  // namespace lastrow::simt
