// What is checked before anything is written.
#pragma once

#include <string>

#include "viewer/app/app.h"

namespace lastrow::ui {

/// Throws if the script or the options would write a file that they read, or write a file twice. row_prefix:
/// of the pictures of sentences; "" if there are none.
void require_different_files(const AppOptions& options, const view::Script& script,
                             const std::string& row_prefix);

/// Throws if the first state is not that of the step that was asked for.
void require_opened(const view::ViewState& first);

/// The file of the picture of one sentence: "tour-03.png".
std::string row_picture(const std::string& prefix, int row);

}  // namespace lastrow::ui
