// The states of the screen that tests draw: a name and a view for each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "viewer/panels/layout.h"
#include "viewer/view_model/state/view_state.h"

namespace lastrow::ui {

struct NamedState {
  std::string name;
  std::shared_ptr<const view::ViewState> view;
};

/// Made by the script in states.cpp, with as many rows of tokens as fit into a window of this logical size.
/// Every new feature adds a line to the script. Sanitizer builds leave out long contexts: they are slow.
std::vector<NamedState> states_of_the_screen(ImVec2 size);

}  // namespace lastrow::ui
