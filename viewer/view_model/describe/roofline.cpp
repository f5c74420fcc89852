#include "viewer/view_model/describe/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "viewer/view_model/describe/cost_axis.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

constexpr int64_t kCachedStep = int64_t{8} << 20;  // a step that moves more bytes reads from memory

/// One side's step: how much it does with each byte, and how fast.
struct Measured {
  double intensity = 0;  // flop per byte
  double flops = 0;      // flop per second; 0: its time is not measured
  double gbps = 0;       // the bandwidth that it is compared with
  double attainable(const MachineRoof& roof) const {
    return 1e9 * std::min(roof.peak_gflops, gbps * intensity);
  }
  double ridge(const MachineRoof& roof) const { return roof.peak_gflops / gbps; }
};

Measured measured(const StepData& step, Mode side, const MachineRoof& roof, bool runs_on_cpu) {
  const StepRecord& record = step.side(side).record;
  const int64_t moved = bytes_moved(record);
  Measured m;
  m.gbps = moved > kCachedStep ? roof.large_gbps : roof.small_gbps;
  if (moved == 0) return m;
  m.intensity = static_cast<double>(record.flop) / static_cast<double>(moved);
  const double us = step.side(side).wall_us;
  if (step.timed && us > 0 && runs_on_cpu) m.flops = static_cast<double>(record.flop) / us * 1e6;
  return m;
}

std::string percent(double fraction) {
  const double p = 100 * fraction;
  if (p < 0.1) return "less than 0.1%";
  return p < 10 ? rough(p) + "%" : fmt::format("{:.0f}%", p);
}

std::string speed_text(double flops) { return number(flops / 1e9) + " Gflop/s"; }

/// The slope from the left or lower edge to the ridge, then the peak to the right edge.
std::vector<std::pair<float, float>> corners(const CostAxis& x, const CostAxis& y, double gbps, double peak) {
  const double start = std::max(x.low(), y.low() / (gbps * 1e9)), ridge = peak / gbps;
  std::vector<std::pair<float, float>> line;
  const auto add = [&](double at) {
    line.emplace_back(x.height(at), y.height(1e9 * std::min(peak, gbps * at)));
  };
  add(start);
  if (ridge > start) add(ridge);
  add(x.high());
  return line;
}

std::string backend_note(TimesMean times) {
  if (times == TimesMean::plain_loops)
    return " This roof is the CPU's; naive is written for readers and is not meant to reach it.";
  if (times == TimesMean::emulation)
    return " This roof is the CPU's; the emulator checks GPU kernels and is not meant to reach it.";
  return "";
}

std::string sentence(const Snapshot& snapshot, const MachineRoof& roof,
                     const std::array<Measured, 2>& sides) {
  const Measured& cached = sides[0];
  if (cached.intensity == 0) return "This step moves no bytes.";
  const TimesMean times = snapshot.setup->times;
  std::string text = fmt::format("The cached step does {} flop per byte: ", rough(cached.intensity));
  text += cached.intensity < cached.ridge(roof) ? "reading is its limit, not arithmetic."
                                                : "arithmetic is its limit, not reading.";
  if (times == TimesMean::gpu_speed) return text + " It ran on the GPU, whose roof is not measured here.";
  if (cached.flops == 0 || sides[1].flops == 0)
    return text + " Its time was measured only with recording, so no point is drawn.";
  const double with = cached.flops / cached.attainable(roof);
  const double without = sides[1].flops / sides[1].attainable(roof);
  text += fmt::format(" It reaches {} of its roof; the step without a cache reaches {}.", percent(with),
                      percent(without));
  return text + backend_note(times);
}

void add_roofs(RooflinePicture& picture, const MachineRoof& roof, const CostAxis& x, const CostAxis& y,
               double limiting) {
  const auto add = [&](double gbps, int64_t size, const char* where) {
    RoofLine line;
    line.label = fmt::format("{} {} GB/s", where, rough(gbps));
    line.tooltip =
        fmt::format("Reads of a buffer of {} by {}.", bytes(size), plural(roof.n_threads, "thread"));
    line.corners = corners(x, y, gbps, roof.peak_gflops);
    line.limits = gbps == limiting;
    picture.roofs.push_back(std::move(line));
  };
  add(roof.small_gbps, roof.small_bytes, "caches");
  add(roof.large_gbps, roof.large_bytes, "memory");
  picture.peak_label = fmt::format("peak {}", speed_text(roof.peak_gflops * 1e9));
  const double ridge = roof.peak_gflops / limiting;
  picture.ridge_label = fmt::format("ridge {}", rough(ridge));
  picture.ridge_x = x.height(ridge);
  picture.ridge_y = y.height(roof.peak_gflops * 1e9);
}

void add_points(RooflinePicture& picture, const std::array<Measured, 2>& sides, const CostAxis& x,
                const CostAxis& y) {
  for (size_t side = 0; side < 2; ++side) {
    const Measured& m = sides[side];
    if (m.flops == 0 || m.intensity == 0) continue;
    RoofPoint point;
    point.label = side == 0 ? "with cache" : "without cache";
    point.tooltip = fmt::format("{} flop per byte, {}", number(m.intensity), speed_text(m.flops));
    point.x = x.height(m.intensity);
    point.y = y.height(m.flops);
    picture.points[side] = point;
  }
}

}  // namespace

RooflinePicture roofline_picture(const Snapshot& snapshot) {
  RooflinePicture picture;
  picture.title = "This step under the roofline";
  if (!snapshot.roof || !snapshot.roof->error.empty()) {
    picture.sentence = snapshot.roof ? "The roofs were not measured: " + snapshot.roof->error
                                     : "The roofs of this machine are not measured yet.";
    return picture;
  }
  const MachineRoof& roof = *snapshot.roof;
  const bool on_cpu = snapshot.setup->times != TimesMean::gpu_speed;
  const std::array<Measured, 2> sides = {measured(*snapshot.unpoked, Mode::cached, roof, on_cpu),
                                         measured(*snapshot.unpoked, Mode::recompute, roof, on_cpu)};
  const double slower = std::min(roof.small_gbps, roof.large_gbps);
  double least_x = 0.3, most_x = 2 * roof.peak_gflops / slower, most_y = 1.2e9 * roof.peak_gflops;
  double least_y = 1e9 * slower * least_x;
  for (const Measured& m : sides) {
    if (m.intensity > 0) least_x = std::min(least_x, m.intensity / 1.5);
    most_x = std::max(most_x, 1.5 * m.intensity);
    if (m.flops > 0) least_y = std::min(least_y, m.flops / 2.5);
    most_y = std::max(most_y, 1.2 * m.flops);
  }
  const CostAxis x = CostAxis::of(Unit::plain, CostScale::log, least_x, most_x);
  const CostAxis y = CostAxis::of(Unit::plain, CostScale::log, least_y, most_y);
  picture.measured = true;
  picture.x = {x.ticks(), "flop per byte"};
  picture.y = {y.ticks(), "flop/s"};
  add_roofs(picture, roof, x, y, sides[0].gbps);
  add_points(picture, sides, x, y);
  picture.sentence = sentence(snapshot, roof, sides);
  picture.note = fmt::format(
      "Measured once in this run with {}. The processor's caches were read with a buffer of {}, memory "
      "with {}. A busy machine gives lower roofs. A step that moves more than {} is compared with memory. "
      "Bytes are weights, cache and scratch.",
      plural(roof.n_threads, "thread"), bytes(roof.small_bytes), bytes(roof.large_bytes), bytes(kCachedStep));
  return picture;
}

}  // namespace lastrow::view
