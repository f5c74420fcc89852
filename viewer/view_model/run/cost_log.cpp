#include "viewer/view_model/run/cost_log.h"

namespace lastrow::view {

namespace {

constexpr std::array<Mode, 2> kSides = {Mode::cached, Mode::recompute};

}  // namespace

void CostLog::note_work(const TwinSession& twin, bool times_count) {
  const int step = twin.current_step();
  for (size_t side = 0; side < 2; ++side) {
    const StepRecord& record = twin.side(kSides[side]).record();
    if (times_count) set_time(step, side, record.wall_us, TimeKind::recorded);
    if (steps_[side].size() <= static_cast<size_t>(step)) steps_[side].resize(static_cast<size_t>(step) + 1);
    steps_[side][static_cast<size_t>(step)].flop = record.flop;
    steps_[side][static_cast<size_t>(step)].bytes = bytes_moved(record);
  }
}

void CostLog::note_time(const TwinSession& twin) {
  for (size_t side = 0; side < 2; ++side)
    set_time(twin.current_step(), side, twin.side(kSides[side]).record().wall_us, TimeKind::once);
}

bool CostLog::looks_disturbed(int step) const {
  if (step < 2) return false;  // before the first decode there is nothing to compare with
  const auto i = static_cast<size_t>(step);
  for (const std::vector<StepCost>& side : steps_)
    if (side.at(i).wall_us > 2 * side.at(i - 1).wall_us) return true;
  return false;
}

void CostLog::note_median(int step, const std::array<double, 2>& wall_us) {
  for (size_t side = 0; side < 2; ++side) set_time(step, side, wall_us[side], TimeKind::median);
}

void CostLog::set_time(int step, size_t side, double wall_us, TimeKind kind) {
  const auto i = static_cast<size_t>(step);
  if (steps_[side].size() <= i) steps_[side].resize(i + 1);
  StepCost& cost = steps_[side][i];
  if (kind < cost.time || (kind == TimeKind::once && cost.time == kind && wall_us > cost.wall_us)) return;
  cost.wall_us = wall_us;
  cost.time = kind;
}

}  // namespace lastrow::view
