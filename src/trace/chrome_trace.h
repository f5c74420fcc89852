// The timing of recorded steps as Trace Event JSON. Perfetto (ui.perfetto.dev) and chrome://tracing open it.
//
//   write_chrome_trace("run.json", {{"with cache", &cached}, {"without", &recompute}});
//
// Each track is a process. It has
//   complete events ("X", µs)   one for each step, and within it one for each operation, with the arguments
//                               layer, flop and bytes
//   a counter ("C")             the cache bytes read and written since the step began
//
// Each track begins at 0, the time when its recorder was made. Times are whole nanoseconds. On one track,
// steps do not overlap, and operations do not overlap. The time of an operation is the time of its call. A
// device that works asynchronously may take longer, because the call only submits the work.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trace/recorder.h"

namespace lastrow {

struct ChromeTrack {
  std::string name;
  const Recorder* recorder;
};

std::string chrome_trace_json(const std::vector<ChromeTrack>& tracks);
/// Writes the whole file or nothing. Throws FileError if it cannot be written.
void write_chrome_trace(const std::filesystem::path& path, const std::vector<ChromeTrack>& tracks);

}  // namespace lastrow
