// A line of text that the user edits.
//
//   field.set("the quick brown fox");            from outside; also while the user edits it
//   if (draw_text_field(panel, "##text", field, place)) …   the user has changed field.text
//
// The field keeps its own text while the user types, so a slow frame loses no key.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "viewer/draw/canvas.h"

namespace lastrow::ui {

struct TextField {
  std::array<char, 4096> text{};  // zero-terminated
  bool replaced = false;          // by set(), and ImGui does not know it yet
  bool caret_to_end = false;      // once the field has the keyboard, with nothing selected
  bool wants_keyboard = false;
  bool active = false;  // has the keyboard

  void set(std::string_view to);
  std::string value() const { return text.data(); }
};

/// Returns whether the user has changed the text in this frame.
bool draw_text_field(Canvas& canvas, const char* id, TextField& field, const Rect& r, Type type);

}  // namespace lastrow::ui
