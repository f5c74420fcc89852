#include "cli/trace_outputs.h"

#include "cli/terminal.h"
#include "core/error.h"
#include "cost/memory.h"
#include "trace/chrome_trace.h"

namespace lastrow::cli {
namespace {

/// A device, pipe or socket. It is written directly, and there can be no second file beside it.
bool is_device(const std::filesystem::path& path) {
  std::error_code unknown;  // AtomicFile reports the error
  return std::filesystem::is_other(std::filesystem::status(path, unknown));
}

}  // namespace

std::filesystem::path TraceOutputs::trace_path(Mode mode, size_t n_modes) const {
  std::filesystem::path path = trace;
  if (n_modes == 1 || mode == Mode::cached) return path;
  return path.replace_filename(path.stem().string() + "." + name_of(mode) + path.extension().string());
}

AtomicFile& WrittenFiles::add(const std::filesystem::path& path, const std::string& note) {
  files_.push_back(std::make_unique<AtomicFile>(path));
  notes_.push_back(note);
  return *files_.back();
}

void WrittenFiles::commit() {
  std::vector<AtomicFile*> files;
  for (const auto& file : files_) files.push_back(file.get());
  commit_all(files);
  for (const std::string& text : notes_) note(text);
}

void TraceOutputs::require_writable(const std::vector<NamedFile>& inputs, std::span<const Mode> modes,
                                    const std::vector<NamedFile>& more_outputs) const {
  if (modes.size() > 1 && is_device(trace))
    throw UsageError("--mode both writes two traces, but {} can take only one: name a file", trace);
  std::vector<NamedFile> outputs;
  for (const NamedFile& output : more_outputs)
    if (!output.path.empty()) outputs.push_back(output);
  if (!chrome_trace.empty()) outputs.push_back({"--chrome-trace", chrome_trace});
  if (!trace.empty())
    for (const Mode mode : modes)
      outputs.push_back({modes.size() == 1 ? "--trace" : fmt::format("--trace (of {})", name_of(mode)),
                         trace_path(mode, modes.size())});
  require_different_files(inputs, outputs);
  for (const NamedFile& output : outputs)
    AtomicFile{output.path};  // only a check: the target stays unchanged
}

std::optional<RecordOptions> TraceOutputs::record_options() const {
  if (!wanted()) return std::nullopt;
  RecordOptions options;
  options.keep = RecordOptions::Keep::all;
  options.attention = options.probe = !trace.empty();
  return options;
}

WrittenFiles TraceOutputs::write(std::span<const RecordedRun> runs) const {
  WrittenFiles written;
  if (!wanted()) return written;
  std::vector<ChromeTrack> tracks;
  for (const RecordedRun& run : runs) {
    const char* const mode = name_of(run.mode);
    tracks.push_back({mode, run.recorder});
    if (run.recorder->truncated())
      note(fmt::format("the record of {} reached its limit of {}; later steps are not in it", mode,
                       gib_and_gb(run.recorder->options().max_bytes)));
    if (trace.empty()) continue;
    const auto path = trace_path(run.mode, runs.size());
    AtomicFile& file = written.add(path, fmt::format("trace of {}: {}", mode, path.string()));
    write_trace(file, *run.recorder, run.info);
    file.finish();
  }
  if (chrome_trace.empty()) return written;
  AtomicFile& file =
      written.add(chrome_trace, fmt::format("timing: {}; open it in ui.perfetto.dev", chrome_trace));
  file.write(chrome_trace_json(tracks));
  file.finish();
  return written;
}

}  // namespace lastrow::cli
