#include "trace/chrome_trace.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"

namespace lastrow {
namespace {

using nlohmann::json;

/// In whole nanoseconds. Start and end are rounded, not start and duration, because the sum of a rounded
/// start and a rounded duration could be later than the start of the next interval.
struct Interval {
  int64_t start_ns, end_ns;
};

/// A damaged trace file may hold NaN or times of many years. These become 0.
int64_t nanoseconds(double us) {
  constexpr double kMost = 1e18;
  const double ns = us * 1e3;
  return ns > 0 && ns < kMost ? std::llround(ns) : 0;
}

/// The interval of an operation. It cannot begin before the previous one ended.
Interval interval_of(const Event& e, int64_t previous_end_ns) {
  const int64_t start = std::max(nanoseconds(e.start_us), previous_end_ns);
  return {start, std::max(nanoseconds(e.start_us + e.duration_us), start)};
}

/// The format uses microseconds. Their three decimals are the nanoseconds.
double microseconds(int64_t ns) { return static_cast<double>(ns) / 1e3; }

json complete(const std::string& name, std::string_view category, int pid, Interval time, json args) {
  return {{"name", name},
          {"cat", category},
          {"ph", "X"},
          {"ts", microseconds(time.start_ns)},
          {"dur", microseconds(time.end_ns - time.start_ns)},
          {"pid", pid},
          {"tid", 1},
          {"args", std::move(args)}};
}

json counter(int pid, int64_t at_ns, int64_t read, int64_t written) {
  return {{"name", "cache bytes in this step"},
          {"ph", "C"},
          {"ts", microseconds(at_ns)},
          {"pid", pid},
          {"tid", 1},
          {"args", {{"read", read}, {"written", written}}}};
}

/// Adds the events of one step after the previous one, which ended at `previous_end_ns`. Returns its end in
/// ns.
int64_t add_step(json& events, const Recorder& recorder, int32_t step, int pid, int64_t previous_end_ns) {
  const std::span<const Event> ops = recorder.events(step);
  if (ops.empty()) return previous_end_ns;
  std::vector<Interval> times;
  for (const Event& e : ops)
    times.push_back(interval_of(e, times.empty() ? previous_end_ns : times.back().end_ns));
  const Interval whole = {times.front().start_ns, times.back().end_ns};
  const StepPlan& plan = recorder.plan(step);
  events.push_back(complete(fmt::format("step {}", step), "step", pid, whole,
                            {{"n_tokens", plan.n_tokens()}, {"kv_len", plan.kv_len}}));
  events.push_back(counter(pid, whole.start_ns, 0, 0));
  int64_t read = 0, written = 0;
  for (size_t i = 0; i < ops.size(); ++i) {
    const Event& e = ops[i];
    json args = {{"layer", e.layer},
                 {"flop", e.cost.flop},
                 {"weight_bytes", e.cost.weight_bytes},
                 {"cache_bytes_read", e.cost.cache_bytes_read},
                 {"cache_bytes_written", e.cost.cache_bytes_written},
                 {"activation_bytes", e.cost.activation_bytes}};
    if (e.cost.scratch_bytes > 0) args["scratch_bytes"] = e.cost.scratch_bytes;
    if (!e.kernel.empty()) args["kernel"] = e.kernel;
    events.push_back(complete(e.name, traits(e.op).name, pid, times[i], std::move(args)));
    if (e.cost.cache_bytes_read == 0 && e.cost.cache_bytes_written == 0) continue;
    read += e.cost.cache_bytes_read;
    written += e.cost.cache_bytes_written;
    events.push_back(counter(pid, times[i].end_ns, read, written));
  }
  return whole.end_ns;
}

}  // namespace

std::string chrome_trace_json(const std::vector<ChromeTrack>& tracks) {
  json events = json::array();
  for (size_t i = 0; i < tracks.size(); ++i) {
    const int pid = static_cast<int>(i) + 1;
    events.push_back(
        {{"name", "process_name"}, {"ph", "M"}, {"pid", pid}, {"args", {{"name", tracks[i].name}}}});
    int64_t end_ns = 0;
    for (const int32_t step : tracks[i].recorder->steps())
      end_ns = add_step(events, *tracks[i].recorder, step, pid, end_ns);
  }
  return json{{"displayTimeUnit", "ns"}, {"traceEvents", std::move(events)}}.dump();
}

void write_chrome_trace(const std::filesystem::path& path, const std::vector<ChromeTrack>& tracks) {
  write_text_atomically(path, chrome_trace_json(tracks));
}

}  // namespace lastrow
