// The menu that a right click on a row of Q, K or V opens.
#pragma once

#include <string>
#include <vector>

#include "viewer/view_model/state/commands.h"

namespace lastrow::view {

struct MenuEntry {
  std::string label;  // "Scramble now"
  std::string tooltip;
  bool enabled = true;
  std::string reason;  // why it is disabled; empty while it is enabled
  Command command;
};

struct PokeMenu {
  Target target;
  std::string title;  // "k[3] · fox · layer 3 · K/V head 0, shared by query heads 0–3"
  std::vector<MenuEntry> entries;
};

}  // namespace lastrow::view
