// One table of keys: the window reads it for key presses, buttons and tooltips, scripts for `key NAME`, the
// help prints it.
//
//   for (const KeyBinding& key : key_table()) …
#pragma once

#include <cstdint>
#include <vector>

#include "viewer/view_model/commands.h"

namespace lastrow::view {

/// Keys as the table spells them. A letter or sign stands for itself.
enum class Key : uint8_t {
  character,
  space,
  left,
  right,
  up,
  down,
  page_up,
  page_down,
  home,
  end,
  enter,
  escape,
  f11
};

struct KeyBinding {
  Key key = Key::character;
  char character = 0;  // for Key::character: lower case, or the sign ('[', '?', ',')
  bool shift = false, ctrl = false;
  Command command;
  const char* key_text;  // "Shift+→"
  const char* label;     // of the button: "Next step"
  const char* tooltip;   // one sentence, without the key
  const char* group;     // heading in the help: "Time", "Where to look", …
};

/// All bindings, in the order of the help, which puts neighbours with one label on one line.
const std::vector<KeyBinding>& key_table();

}  // namespace lastrow::view
