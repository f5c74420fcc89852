// The files in which `lastrow generate` records what it ran.
//
//   TraceOutputs outputs{.trace = "run.safetensors", .chrome_trace = "run.json"};   "" for none
//   outputs.require_writable(modes);                  before the work
//   DecodeSession session(…, {.record = outputs.record_options()});
//   outputs.write(runs, sessions);                    after all modes have run without an error
//
// One Chrome trace holds both modes, each as a track. A trace file holds one history: with both modes the
// cached one goes to the file named, the other beside it, run.safetensors → run.recompute.safetensors.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/generation.h"
#include "session/session.h"

namespace lastrow::cli {

struct TraceOutputs {
  std::string trace{}, chrome_trace{};

  bool wanted() const { return !trace.empty() || !chrome_trace.empty(); }
  /// Throws as AtomicFile does for a place that cannot be written, UsageError if two outputs are one file or
  /// two traces would go to a device.
  void require_writable(std::span<const Mode> modes) const;
  /// Events for either file, tensors only for the trace; none if neither is wanted.
  std::optional<RecordOptions> record_options() const;
  /// runs[i] is what sessions[i] generated. Says on standard error what went where.
  void write(std::span<const ModeRun> runs, std::span<const std::unique_ptr<DecodeSession>> sessions) const;

 private:
  std::filesystem::path trace_path(Mode mode, size_t n_modes) const;
};

}  // namespace lastrow::cli
