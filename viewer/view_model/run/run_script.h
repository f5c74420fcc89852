// Plays a script without a window.
#pragma once

#include <string>

#include "viewer/view_model/run/controller.h"

namespace lastrow::view {

/// Does not wait: beats end at once, and the script does not wait for the user. Returns the exit code of the
/// script; error gets the one line for stderr.
int run_script(Controller& controller, const Script& script, ScriptHost& host, std::string& error);

}  // namespace lastrow::view
