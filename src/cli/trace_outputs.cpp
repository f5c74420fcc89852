#include "cli/trace_outputs.h"

#include "cli/terminal.h"
#include "core/error.h"
#include "cost/memory.h"
#include "io/atomic_file.h"
#include "trace/chrome_trace.h"
#include "trace/trace_file.h"

namespace lastrow::cli {
namespace {

/// The same for all ways of writing it, whether or not there is a file yet.
std::filesystem::path place_of(const std::filesystem::path& path) {
  return std::filesystem::weakly_canonical(std::filesystem::absolute(path));
}

/// A device, pipe or socket: writing goes through it, and no second file can lie beside it.
bool is_device(const std::filesystem::path& path) {
  std::error_code unknown;  // what cannot be asked is said by AtomicFile
  return std::filesystem::is_other(std::filesystem::status(path, unknown));
}

}  // namespace

std::filesystem::path TraceOutputs::trace_path(Mode mode, size_t n_modes) const {
  std::filesystem::path path = trace;
  if (n_modes == 1 || mode == Mode::cached) return path;
  return path.replace_filename(path.stem().string() + "." + name_of(mode) + path.extension().string());
}

void TraceOutputs::require_writable(std::span<const Mode> modes) const {
  if (modes.size() > 1 && is_device(trace))
    throw UsageError("--mode both writes two traces, which {} cannot hold: name a file", trace);
  std::vector<std::filesystem::path> outputs;
  if (!chrome_trace.empty()) outputs.push_back(chrome_trace);
  if (!trace.empty())
    for (const Mode mode : modes) outputs.push_back(trace_path(mode, modes.size()));
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (size_t j = 0; j < i; ++j)
      if (place_of(outputs[i]) == place_of(outputs[j]))
        throw UsageError("--trace and --chrome-trace would both write {}, the same file: give each its own",
                         outputs[i].string());
    AtomicFile{outputs[i]};  // opened and given up: the target stays as it is
  }
}

std::optional<RecordOptions> TraceOutputs::record_options() const {
  if (!wanted()) return std::nullopt;
  RecordOptions options;
  options.keep = RecordOptions::Keep::all;
  options.attention = options.probe = !trace.empty();
  return options;
}

void TraceOutputs::write(std::span<const ModeRun> runs,
                         std::span<const std::unique_ptr<DecodeSession>> sessions) const {
  if (!wanted()) return;
  std::vector<ChromeTrack> tracks;
  for (size_t i = 0; i < runs.size(); ++i) {
    const DecodeSession& session = *sessions[i];
    const Recorder& recorder = session.recorder();
    const char* const mode = name_of(runs[i].mode);
    tracks.push_back({mode, &recorder});
    if (recorder.truncated())
      note(fmt::format("the record of {} met its bound of {}; what came after is not in it", mode,
                       gib_and_gb(recorder.options().max_bytes)));
    if (trace.empty()) continue;
    TraceInfo info{.config_json = to_json(session.model().config()),
                   .tokens = {session.tokens().begin(), session.tokens().end()}};
    info.tokens.push_back(session.next_token());
    const auto path = trace_path(runs[i].mode, runs.size());
    write_trace(path, recorder, info);
    note(fmt::format("trace of {}: {}", mode, path.string()));
  }
  if (chrome_trace.empty()) return;
  write_chrome_trace(chrome_trace, tracks);
  note(fmt::format("timing: {}; open it in ui.perfetto.dev", chrome_trace));
}

}  // namespace lastrow::cli
