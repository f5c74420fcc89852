#include "viewer/app/app.h"

#include "viewer/app/headless.h"
#include "viewer/app/window_app.h"

namespace lastrow::ui {

int run(const AppOptions& options) {
  return options.headless ? run_headless(options) : run_in_window(options);
}

}  // namespace lastrow::ui
