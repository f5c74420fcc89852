// The states of the screen that tests draw: a name and a view for each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "viewer/view_model/state/view_state.h"

namespace lastrow::ui {

struct NamedState {
  std::string name;
  std::shared_ptr<const view::ViewState> view;
};

/// Made once, by a script that every new feature adds a line to (states.cpp). Long contexts are left out where
/// sanitizers make them slow.
const std::vector<NamedState>& states_of_the_screen();

}  // namespace lastrow::ui
