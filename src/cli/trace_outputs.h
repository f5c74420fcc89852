// The trace files that `lastrow generate` writes.
//
//   TraceOutputs outputs{.trace = "run.safetensors", .chrome_trace = "run.json"};    "" for no file
//   outputs.require_writable(inputs, modes);                                         before the work
//   DecodeSession session(…, {.record = outputs.record_options()});
//   WrittenTraces written = outputs.write(runs, sessions);                           after all modes have run
//   print(…);                                                                        the results
//   written.commit();                                                                all files appear or none
//
// A Chrome trace holds both modes, each as a track. A trace file holds one mode. With both modes, the cached
// one goes to the given file, and the other to a file beside it: run.safetensors → run.recompute.safetensors.
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

/// Files that are complete, but do not have their final names yet.
class WrittenTraces {
 public:
  AtomicFile& add(const std::filesystem::path& path, const std::string& note);
  /// Renames the files, then prints each file's note on standard error.
  void commit();

 private:
  std::vector<std::unique_ptr<AtomicFile>> files_;
  std::vector<std::string> notes_;
};

struct TraceOutputs {
  std::string trace{}, chrome_trace{};

  bool wanted() const { return !trace.empty() || !chrome_trace.empty(); }
  /// Throws FileError, as AtomicFile does, for a path that cannot be written. Throws UsageError if an output
  /// is the same file as an input or another output, or if two traces would go to a device.
  void require_writable(const std::vector<NamedFile>& inputs, std::span<const Mode> modes) const;
  /// Records events for both files, and tensors only for the trace. Empty if no file is wanted.
  std::optional<RecordOptions> record_options() const;
  /// runs[i] is what sessions[i] generated.
  WrittenTraces write(std::span<const ModeRun> runs,
                      std::span<const std::unique_ptr<DecodeSession>> sessions) const;

 private:
  std::filesystem::path trace_path(Mode mode, size_t n_modes) const;
};

}  // namespace lastrow::cli
