#include "cli/trace_outputs.h"

#include "cli/terminal.h"
#include "core/error.h"
#include "cost/memory.h"
#include "trace/chrome_trace.h"
#include "trace/trace_file.h"

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

AtomicFile& WrittenTraces::add(const std::filesystem::path& path, const std::string& note) {
  files_.push_back(std::make_unique<AtomicFile>(path));
  notes_.push_back(note);
  return *files_.back();
}

void WrittenTraces::commit() {
  std::vector<AtomicFile*> files;
  for (const auto& file : files_) files.push_back(file.get());
  commit_all(files);
  for (const std::string& text : notes_) note(text);
}

void TraceOutputs::require_writable(const std::vector<NamedFile>& inputs, std::span<const Mode> modes) const {
  if (modes.size() > 1 && is_device(trace))
    throw UsageError("--mode both writes two traces, but {} can take only one: name a file", trace);
  std::vector<NamedFile> outputs;
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

WrittenTraces TraceOutputs::write(std::span<const ModeRun> runs,
                                  std::span<const std::unique_ptr<DecodeSession>> sessions) const {
  WrittenTraces written;
  if (!wanted()) return written;
  std::vector<ChromeTrack> tracks;
  for (size_t i = 0; i < runs.size(); ++i) {
    const DecodeSession& session = *sessions[i];
    const Recorder& recorder = session.recorder();
    const char* const mode = name_of(runs[i].mode);
    tracks.push_back({mode, &recorder});
    if (recorder.truncated())
      note(fmt::format("the record of {} reached its limit of {}; later steps are not in it", mode,
                       gib_and_gb(recorder.options().max_bytes)));
    if (trace.empty()) continue;
    TraceInfo info{.config_json = to_json(session.model().config()),
                   .tokens = {session.tokens().begin(), session.tokens().end()},
                   .n_stored_not_finite = runs[i].stored.n_not_finite,
                   .n_stored_at_limit = runs[i].stored.n_at_limit};
    info.tokens.push_back(session.next_token());
    const auto path = trace_path(runs[i].mode, runs.size());
    AtomicFile& file = written.add(path, fmt::format("trace of {}: {}", mode, path.string()));
    write_trace(file, recorder, info);
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
