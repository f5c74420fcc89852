// Makes the cost curves of both sides from what each step cost.
//
//   view.cost_curves = cost_curves(snapshot, selection.costs);
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/cost_curves.h"

namespace lastrow::view {

/// Steps 0 … last_step of the snapshot. The roofline is filled only if the tab is open.
CostCurves cost_curves(const Snapshot& snapshot, const CostLook& look);
/// The bar of tabs. `curves` gives the summary beside a closed tab.
std::vector<TabChip> tab_chips(const CostCurves& curves, const CostLook& look);

/// The sums of one side: values[step] is the cost of the steps 0 … step. From the first step that is not
/// measured, values are NaN.
std::vector<double> running_sums(const std::vector<StepCost>& steps, CostQuantity quantity);
/// "31.2 M", "1.2 MiB", "3.1 ms", "not measured".
std::string cost_text(CostQuantity quantity, double value);

}  // namespace lastrow::view
