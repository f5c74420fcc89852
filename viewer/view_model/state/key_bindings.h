// The one table of keys. The window reads it for key presses, buttons and tooltips, scripts read it for
// `key NAME`, and the help prints it.
//
//   for (const KeyBinding& key : key_table()) …
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "viewer/view_model/state/commands.h"

namespace lastrow::view {

/// A key; letters and signs are Key::character.
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
  char character = 0;  // for Key::character: the lower-case letter, or the sign ('[', '?', ',')
  bool shift = false, ctrl = false;
  UserCommand command;
  const char* key_name = "";  // without Shift and Ctrl: "→"
  const char* label = "";     // of the button: "Next step"
  const char* tooltip = "";   // one sentence, without the key
  const char* group = "";     // heading in the help: "Time", "Where to look", …

  /// "Shift+→"
  std::string key_text() const {
    return std::string(ctrl ? "Ctrl+" : "") + (shift ? "Shift+" : "") + key_name;
  }
};

/// All bindings, in the order of the help. The help puts neighbours with the same label on one line.
const std::vector<KeyBinding>& key_table();

}  // namespace lastrow::view
