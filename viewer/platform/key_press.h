// A key that went down, under the keyboard's layout. A press is an event, not a state: it counts even if the
// key is up again before the next frame.
#pragma once

#include "viewer/view_model/state/key_bindings.h"

namespace lastrow::ui {

struct KeyPress {
  view::Key key = view::Key::character;
  char character = 0;  // for Key::character: the lower-case letter, or the sign
  bool shift = false, ctrl = false;
};

/// Ignores Shift for characters without Ctrl, because some keyboards need Shift for a sign and others do not.
inline bool matches(const view::KeyBinding& binding, const KeyPress& press) {
  if (binding.key != press.key || binding.ctrl != press.ctrl) return false;
  if (press.key == view::Key::character && binding.character != press.character) return false;
  return binding.shift == press.shift || (press.key == view::Key::character && !press.ctrl);
}

}  // namespace lastrow::ui
