// Notes each text that a frame draws, and the room it had. Only tests use it: they find texts that are cut
// off, and texts that cover each other.
//
//   TextLog log;
//   screen.log_texts(&log);   from now on each draw() replaces its content; nullptr ends this
//   screen.draw(…);
//   for (const DrawnText& text : log.texts) …
//
// Canvas fills it. Texts that ImGui draws itself (menus, tooltips, the input box) are not in it.
#pragma once

#include <string>
#include <vector>

#include "viewer/draw/fonts.h"
#include "viewer/draw/rect.h"

namespace lastrow::ui {

/// Where something was drawn among everything else.
struct DrawnAt {
  const void* list = nullptr;  // the draw list; every ImGui window has its own
  int channel = 0;             // of the list: a higher one covers a lower one
  int order = 0;               // counts up within the frame
};

struct DrawnText {
  std::string text;   // all of it, as the panel asked for it
  std::string shown;  // what is on the screen: shorter, with "…", or nothing, if there was too little room
  Type type = Type::label;
  float room = 0, needed = 0;        // width; of several lines, the width of the widest line
  Rect place;                        // around the letters
  Rect clip;                         // nothing outside of it is drawn
  const char* may_be_cut = nullptr;  // why it may be cut; null: it may not
  DrawnAt at;

  bool shortened() const { return shown != text; }
};

/// An opaque rectangle: it hides what was drawn below it.
struct DrawnGround {
  Rect place;
  DrawnAt at;
};

struct TextLog {
  std::vector<DrawnText> texts;
  std::vector<DrawnGround> grounds;
  int order = 0;

  void clear() { *this = {}; }
};

}  // namespace lastrow::ui
