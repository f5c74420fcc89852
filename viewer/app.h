// The program: a controller, a screen, and either a window or a folder of pictures.
#pragma once

#include <string>

#include "viewer/view_model/controller.h"

namespace lastrow::ui {

struct AppOptions {
  view::ControllerOptions controller;
  int width = 1440, height = 900;
  bool headless = false;  // needs no display and no OpenGL: plays a script and writes pictures
  std::string script;     // file; empty: headless plays the tour, a picture a sentence
  std::string out = ".";  // folder of pictures and states
  std::string watch;      // file that holds the state on the screen as JSON; empty: none
  double seconds = 0;     // closes the window after so long; 0: stays open
};

/// Without a window, pictures and states appear under their names when the script is over and nothing has gone
/// wrong but an `expect`.
/// Runs until the window is closed or the script is over; returns the exit code: 0, 1 when an `expect` of the
/// script failed, 2 with a line on stderr. Throws Error for what cannot be started.
int run(const AppOptions& options);

}  // namespace lastrow::ui
