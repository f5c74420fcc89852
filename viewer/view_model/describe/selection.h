// What the user looks at, points at and has open.
#pragma once

#include <optional>

#include "viewer/view_model/state/beat.h"
#include "viewer/view_model/state/cost_curves.h"
#include "viewer/view_model/state/target.h"
#include "viewer/view_model/state/token_window.h"

namespace lastrow::view {

/// What the tab Cost shows.
struct CostLook {
  Tab tab = Tab::none;
  CostQuantity quantity = CostQuantity::flop;
  CostScale scale = CostScale::linear;
  std::optional<int> hovered{};  // a step
};

struct Selection {
  int layer = 0, head = 0;  // query head
  Beat beat = Beat::keep;
  int room = kMostRows;       // how many rows fit on the screen
  int first_token = kNewest;  // of the window of tokens
  std::optional<Target> hovered{}, pinned{};
  std::optional<Target> asked{};  // the row that the tour asks the user to poke
  std::optional<Target> menu{};   // the row whose poke menu is open
  CostLook costs{};
  int n_all_pokes = 0;  // also those that are not active in the step
};

}  // namespace lastrow::view
