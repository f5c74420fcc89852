// The files in which `lastrow generate` records what it ran.
//
//   TraceOutputs outputs{.trace = "run.safetensors", .chrome_trace = "run.json"};   "" for none
//   outputs.require_writable(inputs, modes);          before the work
//   DecodeSession session(…, {.record = outputs.record_options()});
//   WrittenTraces written = outputs.write(runs, sessions);    after all modes have run without an error
//   print(…);                                         what belongs on standard output
//   written.commit();                                 now the files appear, all or none
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
#include "io/atomic_file.h"
#include "io/output_files.h"
#include "session/session.h"

namespace lastrow::cli {

/// Files that are written, but not yet under their names.
class WrittenTraces {
 public:
  AtomicFile& add(const std::filesystem::path& path, const std::string& note);
  /// Says on standard error what went where.
  void commit();

 private:
  std::vector<std::unique_ptr<AtomicFile>> files_;
  std::vector<std::string> notes_;
};

struct TraceOutputs {
  std::string trace{}, chrome_trace{};

  bool wanted() const { return !trace.empty() || !chrome_trace.empty(); }
  /// Throws as AtomicFile does for a place that cannot be written, UsageError if an output is one file with an
  /// input or another output, or if two traces would go to a device.
  void require_writable(const std::vector<NamedFile>& inputs, std::span<const Mode> modes) const;
  /// Events for either file, tensors only for the trace; none if neither is wanted.
  std::optional<RecordOptions> record_options() const;
  /// runs[i] is what sessions[i] generated.
  WrittenTraces write(std::span<const ModeRun> runs,
                      std::span<const std::unique_ptr<DecodeSession>> sessions) const;

 private:
  std::filesystem::path trace_path(Mode mode, size_t n_modes) const;
};

}  // namespace lastrow::cli
