#include "viewer/view_model/describe/cost_curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "viewer/view_model/describe/cost_axis.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/roofline.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

double cost_of(const StepCost& step, CostQuantity quantity) {
  if (quantity == CostQuantity::flop) return static_cast<double>(step.flop);
  if (quantity == CostQuantity::bytes) return static_cast<double>(step.bytes);
  return step.time == TimeKind::none ? kNotMeasured : step.wall_us;
}

Unit unit_of(CostQuantity quantity) {
  if (quantity == CostQuantity::bytes) return Unit::bytes;
  return quantity == CostQuantity::time ? Unit::microseconds : Unit::plain;
}

/// "31.2 M flop", "1.2 MiB", "3.1 ms".
std::string with_unit(CostQuantity quantity, double value) {
  return cost_text(quantity, value) + (quantity == CostQuantity::flop ? " flop" : "");
}

std::string after(const Setup& setup, int step) {
  if (setup.n_prefill_steps > 1) return "After " + step_text(setup, step);
  if (step == 0) return "After the prefill";
  return fmt::format("After {} step{}", step, step == 1 ? "" : "s");
}

/// "26×"; near 1 with one more digit: "1.03×".
std::string times(double with, double without) {
  const std::string text = ratio(with, without);
  return text == "1.0×" ? fmt::format("{:.2f}×", without / with) : text;
}

/// "26× as much".
std::string comparison(CostQuantity quantity, double with, double without) {
  if (with == without) return "the same";
  const std::string text = times(with, without);
  if (text == "1×") return "about the same";
  return text + (quantity == CostQuantity::time ? " as long" : " as much");
}

std::string caption(const Setup& setup, CostQuantity quantity, int step, double with, double without) {
  if (std::isnan(with) || std::isnan(without)) return after(setup, step) + ": the time is not measured.";
  if (with == without)
    return fmt::format("{}: {} with the cache and without it.", after(setup, step),
                       with_unit(quantity, with));
  return fmt::format("{}: {} with the cache, {} without: {}.", after(setup, step), with_unit(quantity, with),
                     cost_text(quantity, without), comparison(quantity, with, without));
}

std::string ratio_caption(CostQuantity quantity) {
  switch (quantity) {
    case CostQuantity::flop:
      return "as much flop without cache";
    case CostQuantity::bytes:
      return "as many bytes without cache";
    default:
      return "as long without cache";
  }
}

std::string tooltip_of(CostQuantity quantity, const std::array<std::vector<StepCost>, 2>& costs) {
  if (quantity == CostQuantity::flop)
    return "Additions and multiplications of all steps so far, in all layers and heads.";
  if (quantity == CostQuantity::bytes)
    return "Parameters, rows of the cache and scratch rows, read or written, in all steps so far. Each "
           "operation reads its parameters once, for all its rows.";
  for (const std::vector<StepCost>& side : costs)
    for (const StepCost& step : side)
      if (step.time == TimeKind::recorded)
        return "Time of all steps so far, each run once with every tensor recorded. Recording takes most of "
               "it.";
  return "Time of all steps so far, without recording: the median of several runs for steps that were "
         "shown, one run for the others. A run that took more than twice as long as the step before was "
         "repeated; the fastest counts.";
}

std::string title_of(const Snapshot& snapshot, int step) {
  if (step == 0) return "prefill";
  const auto at = static_cast<size_t>(snapshot.setup->n_tokens_at(step) - 1);
  return fmt::format("{} {}", step_text(*snapshot.setup, step),
                     in_quotes(label(snapshot.setup->piece(snapshot.history.at(at)))));
}

void fill_choices(CostCurves& curves) {
  using Q = CostQuantity;
  const auto quantity = [&](Q value, const char* name, const char* tip) {
    curves.quantities.push_back({value, name, tip, value == curves.quantity});
  };
  quantity(Q::flop, "flop", "Show additions and multiplications.");
  quantity(Q::bytes, "bytes", "Show the bytes of weights, cache and scratch that were moved.");
  quantity(Q::time, "time", "Show the time that was measured on this machine.");
  const auto scale = [&](CostScale value, const char* name, const char* tip) {
    curves.scales.push_back({value, name, tip, value == curves.scale});
  };
  scale(CostScale::linear, "linear", "Equal heights are equal amounts.");
  scale(CostScale::log, "log", "Equal heights are equal ratios, so both lines can be read.");
}

/// Ticks at about six steps: every 1, 2, 5, 10, …
Axis step_axis(int last_step) {
  Axis axis;
  axis.title = "step";
  int every = 1;
  for (int power = 1; last_step / every > 6; power *= 10)
    for (const int digit : {1, 2, 5}) {
      every = digit * power;
      if (last_step / every <= 6) break;
    }
  for (int step = 0; step <= last_step; step += every)
    axis.ticks.push_back({static_cast<float>(step) / static_cast<float>(std::max(1, last_step)),
                          step == 0 ? "prefill" : fmt::format("{}", step)});
  return axis;
}

void fill_lines(const Snapshot& snapshot, CostCurves& curves) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  for (size_t side = 0; side < 2; ++side) {
    CostLine& line = curves.lines[side];
    line.name = side == 0 ? "with cache" : "without cache";
    line.values = running_sums(snapshot.costs[side], curves.quantity);
    line.values.resize(static_cast<size_t>(curves.last_step) + 1, kNotMeasured);
    line.end_label = cost_text(curves.quantity, line.values.back());
    line.now_label = cost_text(curves.quantity, line.values[static_cast<size_t>(curves.step)]);
    line.measured = !std::isnan(line.values.back());
    for (const double value : line.values)
      if (!std::isnan(value)) {
        least = std::min(least, value);
        most = std::max(most, value);
      }
  }
  const CostAxis y = CostAxis::of(unit_of(curves.quantity), curves.scale, least, most);
  const char* const titles[] = {"flop so far", "bytes so far", "time so far"};
  curves.y = {y.ticks(), titles[static_cast<size_t>(curves.quantity)]};
  for (CostLine& line : curves.lines)
    for (const double value : line.values) line.heights.push_back(y.height(value));
}

CostHover hover_at(const Snapshot& snapshot, const CostCurves& curves, int step) {
  CostHover hover;
  hover.step = step;
  hover.title = title_of(snapshot, step);
  const auto i = static_cast<size_t>(step);
  for (size_t side = 0; side < 2; ++side) {
    hover.values[side] = cost_text(curves.quantity, curves.lines[side].values[i]);
    if (i < snapshot.costs[side].size())
      hover.of_step[side] =
          "+" + cost_text(curves.quantity, cost_of(snapshot.costs[side][i], curves.quantity));
  }
  hover.ratio = times(curves.lines[0].values[i], curves.lines[1].values[i]);
  return hover;
}

}  // namespace

std::vector<double> running_sums(const std::vector<StepCost>& steps, CostQuantity quantity) {
  std::vector<double> sums;
  sums.reserve(steps.size());
  double sum = 0;
  for (const StepCost& step : steps) sums.push_back(sum += cost_of(step, quantity));
  return sums;
}

std::string cost_text(CostQuantity quantity, double value) {
  if (std::isnan(value)) return "not measured";
  if (quantity == CostQuantity::time) return duration_us(value);
  const auto whole = static_cast<int64_t>(value);
  return quantity == CostQuantity::bytes ? bytes(whole) : count(whole);
}

CostCurves cost_curves(const Snapshot& snapshot, const CostLook& look) {
  CostCurves curves;
  curves.quantity = look.quantity;
  curves.scale = look.scale;
  fill_choices(curves);
  curves.last_step = std::max(snapshot.last_step, snapshot.now->step);
  curves.step = snapshot.now->step;
  fill_lines(snapshot, curves);
  curves.x = step_axis(curves.last_step);
  const auto now = static_cast<size_t>(curves.step);
  const double with = curves.lines[0].values[now], without = curves.lines[1].values[now];
  curves.ratio = times(with, without);
  curves.ratio_caption = ratio_caption(look.quantity);
  curves.caption = caption(*snapshot.setup, look.quantity, curves.step, with, without);
  curves.tooltip = tooltip_of(look.quantity, snapshot.costs);
  if (look.hovered && *look.hovered <= curves.last_step)
    curves.hover = hover_at(snapshot, curves, *look.hovered);
  if (look.tab == Tab::cost) curves.roofline = roofline_picture(snapshot);
  return curves;
}

std::vector<TabChip> tab_chips(const CostCurves& curves, const CostLook& look) {
  const bool open = look.tab == Tab::cost;
  return {{Tab::cost, "Cost", open ? "" : curves.caption, open}};
}

}  // namespace lastrow::view
