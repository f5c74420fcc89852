// The list of caches for the left side, with the sizes of those that forget rows.
#pragma once

#include <string>
#include <vector>

#include "viewer/view_model/state/program_state.h"

namespace lastrow::view {

struct CacheMenu {
  // Choice::name is what SetCache takes. Only the chosen one while the list is closed.
  std::vector<Choice> choices;
  int rows = 8, sinks = 2;            // the sizes in the list
  std::string rows_text, sinks_text;  // "8 rows", "2 sinks"
};

}  // namespace lastrow::view
