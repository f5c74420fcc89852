#include "trace/chrome_trace.h"

#include <nlohmann/json.hpp>

#include "io/atomic_file.h"

namespace lastrow {
namespace {

using nlohmann::json;

json complete(const std::string& name, std::string_view category, int pid, double start_us,
              double duration_us, json args) {
  return {{"name", name},       {"cat", category}, {"ph", "X"}, {"ts", start_us},
          {"dur", duration_us}, {"pid", pid},      {"tid", 1},  {"args", std::move(args)}};
}

json counter(int pid, double at_us, int64_t read, int64_t written) {
  return {{"name", "cache bytes in this step"},
          {"ph", "C"},
          {"ts", at_us},
          {"pid", pid},
          {"tid", 1},
          {"args", {{"read", read}, {"written", written}}}};
}

void add_step(json& events, const Recorder& recorder, int32_t step, int pid) {
  const std::span<const Event> ops = recorder.events(step);
  if (ops.empty()) return;
  const double start = ops.front().start_us, end = ops.back().start_us + ops.back().duration_us;
  const StepPlan& plan = recorder.plan(step);
  events.push_back(complete(fmt::format("step {}", step), "step", pid, start, end - start,
                            {{"n_tokens", plan.n_tokens()}, {"kv_len", plan.kv_len}}));
  events.push_back(counter(pid, start, 0, 0));
  int64_t read = 0, written = 0;
  for (const Event& e : ops) {
    json args = {{"layer", e.layer},
                 {"flop", e.cost.flop},
                 {"weight_bytes", e.cost.weight_bytes},
                 {"cache_bytes_read", e.cost.cache_bytes_read},
                 {"cache_bytes_written", e.cost.cache_bytes_written},
                 {"activation_bytes", e.cost.activation_bytes}};
    if (!e.kernel.empty()) args["kernel"] = e.kernel;
    events.push_back(complete(e.name, name_of(e.op), pid, e.start_us, e.duration_us, std::move(args)));
    if (e.cost.cache_bytes_read == 0 && e.cost.cache_bytes_written == 0) continue;
    read += e.cost.cache_bytes_read;
    written += e.cost.cache_bytes_written;
    events.push_back(counter(pid, e.start_us + e.duration_us, read, written));
  }
}

}  // namespace

std::string chrome_trace_json(const std::vector<ChromeTrack>& tracks) {
  json events = json::array();
  for (size_t i = 0; i < tracks.size(); ++i) {
    const int pid = static_cast<int>(i) + 1;
    events.push_back(
        {{"name", "process_name"}, {"ph", "M"}, {"pid", pid}, {"args", {{"name", tracks[i].name}}}});
    for (const int32_t step : tracks[i].recorder->steps()) add_step(events, *tracks[i].recorder, step, pid);
  }
  return json{{"displayTimeUnit", "ns"}, {"traceEvents", std::move(events)}}.dump();
}

void write_chrome_trace(const std::filesystem::path& path, const std::vector<ChromeTrack>& tracks) {
  write_text_atomically(path, chrome_trace_json(tracks));
}

}  // namespace lastrow
