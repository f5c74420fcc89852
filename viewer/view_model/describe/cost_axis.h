// The axes of the cost pictures: where the ticks are, how they are spelt, and how high a value lies.
//
//   const CostAxis axis = CostAxis::of(Unit::plain, CostScale::log, least, most);
//   axis.height(value)    0 … 1
//   axis.ticks()          3 to 6 nice numbers with their labels: 0, 200 M, 400 M, …
#pragma once

#include <string>
#include <vector>

#include "viewer/view_model/state/cost_curves.h"

namespace lastrow::view {

enum class Unit : uint8_t { plain, bytes, microseconds };

class CostAxis {
 public:
  /// An axis that holds least … most. A linear axis starts at 0, a log axis at a nice number below `least`.
  static CostAxis of(Unit unit, CostScale scale, double least, double most);
  float height(double value) const;
  const std::vector<AxisTick>& ticks() const { return ticks_; }
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  void add_tick(double value);
  void make_linear(double most);
  void make_log(double least, double most);

  Unit unit_ = Unit::plain;
  CostScale scale_ = CostScale::linear;
  double low_ = 0, high_ = 1;
  std::vector<AxisTick> ticks_;
};

/// A tick's number without digits it does not need: "0", "200 M", "1.5 MiB", "20 ms".
std::string tick_text(Unit unit, double value);

}  // namespace lastrow::view
