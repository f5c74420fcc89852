// The trace files that `lastrow generate` writes.
//
//   TraceOutputs outputs{.trace = "run.safetensors", .chrome_trace = "run.json"};    "" for no file
//   outputs.require_writable(inputs, modes, more_outputs);                           before the work
//   DecodeSession session(…, {.record = outputs.record_options()});
//   WrittenFiles written = outputs.write(runs);                                      after all modes have run
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

#include "io/atomic_file.h"
#include "io/output_files.h"
#include "session/step_record.h"
#include "trace/recorder.h"
#include "trace/trace_file.h"

namespace lastrow::cli {

/// Files that are complete, but do not have their final names yet.
class WrittenFiles {
 public:
  AtomicFile& add(const std::filesystem::path& path, const std::string& note);
  /// Renames the files, then prints each file's note on standard error.
  void commit();

 private:
  std::vector<std::unique_ptr<AtomicFile>> files_;
  std::vector<std::string> notes_;
};

/// A run whose steps were recorded.
struct RecordedRun {
  Mode mode;
  const Recorder* recorder;
  TraceInfo info;
};

struct TraceOutputs {
  std::string trace{}, chrome_trace{};

  bool wanted() const { return !trace.empty() || !chrome_trace.empty(); }
  /// Throws FileError, as AtomicFile does, for a path that cannot be written. Throws UsageError if an output
  /// is the same file as an input or another output, or if two traces would go to a device. A file of
  /// more_outputs that was not asked for has the path "".
  void require_writable(const std::vector<NamedFile>& inputs, std::span<const Mode> modes,
                        const std::vector<NamedFile>& more_outputs = {}) const;
  /// Records events for both files, and tensors only for the trace. Empty if no file is wanted.
  std::optional<RecordOptions> record_options() const;
  /// Writes nothing if no file is wanted; then the recorders may be null.
  WrittenFiles write(std::span<const RecordedRun> runs) const;

 private:
  std::filesystem::path trace_path(Mode mode, size_t n_modes) const;
};

}  // namespace lastrow::cli
