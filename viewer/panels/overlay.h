// A window of ImGui over the panels, in which a panel draws as it does in the main window.
//
//   Overlay over(panel, "help", place);
//   over.panel().canvas.fill_round(…);      until `over` is destroyed
//
// What lies under it gets no mouse. Each id must be unique.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

class Overlay {
 public:
  /// takes_keyboard: false for a window that only informs. Then a field that has the keyboard keeps it.
  Overlay(Panel& under, const char* id, const Rect& place, bool takes_keyboard = true);
  ~Overlay();
  Overlay(const Overlay&) = delete;
  Overlay& operator=(const Overlay&) = delete;

  Panel& panel() { return panel_; }

 private:
  static ImDrawList* begin(const char* id, const Rect& place, bool takes_keyboard);

  Canvas canvas_;
  Panel panel_;
};

/// A box in the middle of the window. The rest of the window is dimmed; `outside` says that it was clicked.
class ModalBox {
 public:
  ModalBox(Panel& under, const char* id, const Rect& box);
  Panel& panel() { return over_.panel(); }
  bool outside() const { return outside_; }

 private:
  Overlay over_;
  bool outside_ = false;
};

/// A button with a text on it. A primary button is the one that Enter presses.
bool text_button(Panel& panel, const char* id, const Rect& r, std::string_view text, bool primary = false,
                 bool enabled = true, Touch* touched = nullptr);

}  // namespace lastrow::ui
