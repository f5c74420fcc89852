#include "viewer/view_model/describe/costs.h"

#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

/// A count of both sides.
CostEntry entry(const char* name, double with, double without, std::string (*spell)(int64_t),
                const char* tip) {
  CostEntry e;
  e.name = name;
  e.with_value = with;
  e.without_value = without;
  e.with = spell(static_cast<int64_t>(with));
  e.without = spell(static_cast<int64_t>(without));
  e.ratio = ratio(with, without);
  e.tooltip = tip;
  return e;
}

}  // namespace

std::vector<CostEntry> cost_line(const Snapshot& snapshot) {
  const StepData& step = *snapshot.unpoked;
  const StepRecord& a = step.side(Mode::cached).record;
  const StepRecord& b = step.side(Mode::recompute).record;
  const auto f = [](int64_t x) { return static_cast<double>(x); };
  std::vector<CostEntry> line;
  line.push_back(entry("rows projected", f(a.kv_rows_projected), f(b.kv_rows_projected), count,
                       "Rows of K computed in this step, in all layers. Q and V have as many."));
  line.push_back(entry("score cells", f(a.score_cells), f(b.score_cells), count,
                       "Products q·k that are not masked, in all layers and heads."));
  line.push_back(
      entry("flop", f(a.flop), f(b.flop), count, "Additions and multiplications of the whole step."));
  line.push_back(entry("weight bytes", f(a.weight_bytes), f(b.weight_bytes), bytes,
                       "Parameters read. Each operation reads them once, for all its rows."));
  line.push_back(entry("cache bytes", f(a.cache_bytes_read + a.cache_bytes_written),
                       f(b.cache_bytes_read + b.cache_bytes_written), bytes,
                       "K and V rows read from the cache and written to it; 0 without a cache."));
  line.push_back(entry("scratch bytes", f(a.kv_scratch_bytes), f(b.kv_scratch_bytes), bytes,
                       "K and V rows that are written and read in this step only, then dropped."));
  CostEntry time;
  time.name = "time";
  time.with_value = step.side(Mode::cached).wall_us;
  time.without_value = step.side(Mode::recompute).wall_us;
  time.with = duration_us(time.with_value);
  time.without = duration_us(time.without_value);
  time.ratio = ratio(time.with_value, time.without_value);
  time.tooltip = step.timed ? "Time of the step without recording: the median of up to five runs."
                            : "Time of the step, run once. Copying what is shown is not counted.";
  line.push_back(std::move(time));
  return line;
}

}  // namespace lastrow::view
