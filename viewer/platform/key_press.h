// A key that went down, as the keyboard's layout has it. Presses are events, not states: one that is over
// before the next frame counts all the same.
#pragma once

#include "viewer/view_model/state/keys.h"

namespace lastrow::ui {

struct KeyPress {
  view::Key key = view::Key::character;
  char character = 0;  // for Key::character: lower case, or the sign
  bool shift = false, ctrl = false;
};

/// Signs need Shift on some keyboards and not on others, so that with them Shift is not asked for.
inline bool matches(const view::KeyBinding& binding, const KeyPress& press) {
  if (binding.key != press.key || binding.ctrl != press.ctrl) return false;
  return press.key == view::Key::character ? binding.character == press.character
                                           : binding.shift == press.shift;
}

}  // namespace lastrow::ui
