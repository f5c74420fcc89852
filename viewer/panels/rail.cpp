// The rail at the left: the program's buttons.
#include "viewer/panels/panel.h"

namespace lastrow::ui {

void draw_rail(Panel& panel) {
  Rect column = panel.layout.rail;
  using view::Key;
  struct Entry {
    Icon icon;
    const view::KeyBinding& binding;
    bool enabled;
  };
  const Entry entries[] = {
      {Icon::pencil, binding_for(Key::character, 'p'), true},
      {Icon::restore, binding_for(Key::character, 'r'), !panel.view.pokes.entries.empty()},
      {Icon::copy, binding_for(Key::character, 'c'), true},
      {Icon::camera, binding_for(Key::character, 's', false, true), true},
      {Icon::half_moon, binding_for(Key::character, 't'), true},
      {Icon::lecture, binding_for(Key::character, 'l'), true},
      {Icon::full_screen, binding_for(Key::f11), true},
      {Icon::question, binding_for(Key::character, '?'), true}};
  for (const Entry& entry : entries) {
    key_button(panel, column.cut_top(32).inset(5, 1), entry.icon, entry.binding, entry.enabled);
    column.cut_top(2);
  }
}

}  // namespace lastrow::ui
