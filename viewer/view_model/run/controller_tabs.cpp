// The commands of the tab at the bottom.
#include "viewer/view_model/run/controller_impl.h"

namespace lastrow::view {

/// The tab Cost needs the roofline of this machine. It is measured the first time, on the thread of the steps.
std::string Controller::Impl::carry_out(const ShowTab& c) {
  costs.tab = c.tab;
  costs.hovered.reset();
  const bool needs_roof = c.tab == Tab::cost && !(current && current->roof);
  if (needs_roof && !goal.measure_machine) {
    goal.measure_machine = true;
    want_goal();
  }
  return "";
}

std::string Controller::Impl::carry_out(const ToggleTab& c) {
  if (lecture) return refuse("lecture mode has no tabs: press L to leave it");
  return carry_out(ShowTab{costs.tab == c.tab ? Tab::none : c.tab});
}

std::string Controller::Impl::carry_out(const SetCostQuantity& c) {
  costs.quantity = c.quantity;
  return "";
}

std::string Controller::Impl::carry_out(const SetCostScale& c) {
  costs.scale = c.scale;
  return "";
}

std::string Controller::Impl::carry_out(const HoverCost& c) {
  if (c.step && current && *c.step > current->last_step)
    return refuse("the curve has no step " + std::to_string(*c.step) + ": it has not run yet");
  costs.hovered = c.step;
  return "";
}

}  // namespace lastrow::view
