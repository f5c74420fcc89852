// The program without a window.
#pragma once

#include "viewer/app/app.h"

namespace lastrow::ui {

/// Plays the script, or the tour, and writes its pictures and states; see run() in app.h.
int run_headless(const AppOptions& options);

}  // namespace lastrow::ui
