// One column of the cost table.
#pragma once

#include <string>

namespace lastrow::view {

struct CostEntry {
  std::string name;           // "rows projected"
  std::string with, without;  // "4", "32", "1.2 KiB"
  std::string ratio;          // "8×"; "—" if either is 0
  double with_value = 0, without_value = 0;
  std::string tooltip;  // what is counted, in one sentence
};

}  // namespace lastrow::view
