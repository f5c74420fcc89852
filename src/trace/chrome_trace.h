// Timing of recorded steps as Trace Event JSON, which Perfetto (ui.perfetto.dev) and chrome://tracing open.
//
//   write_chrome_trace("run.json", {{"with cache", &cached}, {"without", &recompute}});
//
// Each track is a process: complete events ("X", µs) for the steps and, nested in them, their operations,
// with layer, flop and bytes as arguments; and a counter ("C") of the cache bytes read and written since the
// step began. Tracks start at 0 each, when their recorder was made. Times are whole
// nanoseconds, and on a track neither steps nor operations overlap. Operations are timed as calls: on a
// device that works behind the host's back they show the submission.
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
/// The file appears whole or not at all; throws FileError if it cannot be written.
void write_chrome_trace(const std::filesystem::path& path, const std::vector<ChromeTrack>& tracks);

}  // namespace lastrow
