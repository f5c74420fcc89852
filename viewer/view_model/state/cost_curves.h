// The tab Cost: what both sides have cost from the prefill on, step by step, and where the step that is shown lies
// under the roofline of this machine.
//
//   for (const CostLine& line : curves.lines) …     0: with the cache, 1: without
//     line.values[step]    the sum from the prefill to this step; NaN from the first step that is not measured
//     line.heights[step]   the same as a height in the plot: 0 bottom, 1 top
//   curves.x_of(step)      its place from left to right: 0 … 1
//
// Panels draw heights and fractions; they need no unit and no scale. Invariant: both lines have a point for
// each of the steps 0 … last_step, and a line never falls.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lastrow::view {

/// What is open at the bottom of the window.
enum class Tab : uint8_t { none, cost };
enum class CostQuantity : uint8_t { flop, bytes, time };
enum class CostScale : uint8_t { linear, log };

/// A button of the bar of tabs.
struct TabChip {
  Tab tab = Tab::cost;
  std::string label;    // "Cost"
  std::string summary;  // one sentence with the numbers of this run, beside the button of a closed tab
  bool open = false;
};

/// A button that chooses what the curve shows.
template <typename Value>
struct CostChoice {
  Value value{};
  std::string label, tooltip;
  bool selected = false;
};

struct AxisTick {
  float at = 0;  // fraction of the axis, 0 … 1
  std::string label;
};
struct Axis {
  std::vector<AxisTick> ticks;  // in order; the first is not always at 0
  std::string title;            // "flop so far"
};

struct CostLine {
  std::string name;            // "without cache"
  std::string end_label;       // "812 M": the last value
  std::vector<double> values;  // [last_step + 1]
  std::vector<float> heights;  // [last_step + 1]
  std::string now_label;       // "812 M": the value at the step that is shown
  bool measured = true;        // false: values end in NaN, and end_label says so
};

/// What the mouse points at in the curve.
struct CostHover {
  int step = 0;
  std::string title;                   // "decode 7 “over”"
  std::array<std::string, 2> values;   // [Mode] "31 M"
  std::array<std::string, 2> of_step;  // [Mode] "+5.9 M": of this step alone
  std::string ratio;                   // "6×"
};

/// A line under which every point lies: a slope for a bandwidth, then the flat peak.
struct RoofLine {
  std::string label;                             // "12 GB/s"
  std::string tooltip;                           // what was read, and how
  std::vector<std::pair<float, float>> corners;  // fractions of both axes
  bool limits = false;                           // the roof that the sentence speaks of
};
struct RoofPoint {
  std::string label;    // "with cache"
  std::string tooltip;  // flop per byte, flop per second
  float x = 0, y = 0;   // fractions of both axes
};

struct RooflinePicture {
  bool measured = false;  // false: only `sentence` is set, and says why
  std::string title;      // "Roofline of this machine · 2 threads"
  Axis x, y;
  std::vector<RoofLine> roofs;
  std::string peak_label, ridge_label;             // "85 Gflop/s", "ridge 7.1"
  float ridge_x = 0, ridge_y = 0;                  // of the roof that limits the cached step
  std::array<std::optional<RoofPoint>, 2> points;  // [Mode]; none: its time is not measured
  std::string sentence;                            // "The cached step does 0.5 flop per byte: …"
  std::string note;                                // what the roofs are, and what they are not
};

struct CostCurves {
  CostQuantity quantity = CostQuantity::flop;
  CostScale scale = CostScale::linear;
  std::vector<CostChoice<CostQuantity>> quantities;
  std::vector<CostChoice<CostScale>> scales;
  int step = 0, last_step = 0;
  std::array<CostLine, 2> lines;  // [Mode]
  Axis x, y;
  std::string ratio;          // "26×", for the steps up to the one that is shown
  std::string ratio_caption;  // "as much flop without the cache"
  std::string caption;        // "After 40 steps: 31 M flop with the cache, 812 M without: 26× as much."
  std::string tooltip;        // what is counted, or how the time is measured
  std::optional<CostHover> hover;
  RooflinePicture roofline;

  float x_of(int s) const { return static_cast<float>(s) / static_cast<float>(std::max(1, last_step)); }
  /// The inverse: the nearest step.
  int step_at(float fraction) const {
    const float s = fraction * static_cast<float>(last_step) + 0.5f;
    return std::clamp(static_cast<int>(s), 0, last_step);
  }
};

}  // namespace lastrow::view
