// The program: a controller, a screen, and either a window or a folder of pictures.
#pragma once

#include <string>

#include "viewer/view_model/run/controller.h"

namespace lastrow::ui {

struct AppOptions {
  view::ControllerOptions controller;
  int width = 1440, height = 900;
  bool headless = false;  // no display and no OpenGL: plays a script and writes pictures
  std::string script;     // file; without one, headless plays the tour and writes a picture per sentence
  std::string out = ".";  // folder for pictures and states
  std::string watch;      // file that always holds the state on the screen as JSON; empty: none
  double seconds = 0;     // closes the window after this time; 0: it stays open
};

/// Runs until the window is closed or the script has ended. Returns the exit code: 0, 1 if an `expect` of the
/// script failed, 2 with a line on stderr. Throws Error for what cannot be started.
/// Without a window, all pictures and states get their names together at the end. If a line of the script was
/// not possible, none of them appears; after a failed `expect` they all do.
int run(const AppOptions& options);

}  // namespace lastrow::ui
