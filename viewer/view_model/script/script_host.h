// What a script needs from the program that has the pixels and the files.
#pragma once

#include <string>

#include "viewer/view_model/state/view_state.h"

namespace lastrow::view {

class ScriptHost {
 public:
  virtual ~ScriptHost() = default;
  /// Draws the view at the end of its beat and writes the picture to NAME. Throws FileError.
  virtual void shot(const std::string& name, const ViewState& view) = 0;
  /// Writes text (JSON) to NAME. Throws FileError.
  virtual void write_state(const std::string& name, const std::string& json) = 0;
  virtual void resize(int width, int height) = 0;
  /// How many rows of tokens fit into its pictures of this view.
  virtual int rows_that_fit(const ViewState&) { return kMostRows; }
  /// The sentence of row `row` (1, 2, …) is now on the screen.
  /// `viewer/run` without a display draws a picture here.
  virtual void row_shown(int row, const ViewState& view) = 0;
};

}  // namespace lastrow::view
