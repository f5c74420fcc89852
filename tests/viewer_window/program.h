// Plays scripts in the built viewer without a window.
#pragma once

#include <nlohmann/json.hpp>

#include "support/program.h"

namespace lastrow::ui {

using testing::Folder;
using testing::Outcome;
using testing::read_text;
using testing::shell;

inline const std::string kViewer = LASTROW_BIN_DIR "/lastrow-viewer";

/// Plays a script without a display. It writes pictures and states to the folder.
/// DISPLAY is unset on purpose.
inline Outcome headless(const Folder& folder, const std::string& script, const std::string& options = "") {
  std::ofstream(folder / "script.txt") << script;
  return shell(folder, "unset DISPLAY WAYLAND_DISPLAY; " + kViewer + " --headless --script " +
                           (folder / "script.txt").string() + " --out " + folder.string() + " " + options);
}

}  // namespace lastrow::ui
