// The program in a window.
#pragma once

#include "viewer/app/app.h"

namespace lastrow::ui {

/// Runs until the window is closed or the script has ended; see run() in app.h.
int run_in_window(const AppOptions& options);

}  // namespace lastrow::ui
