// The options of `lastrow generate`, and which of them go together.
//
//   GenerateOptions o;
//   add_options(subcommand, o);      before parsing; o must outlive the parsing
//   require_consistent(o);           after parsing
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/backend_flags.h"
#include "cli/cache_flags.h"
#include "cli/trace_outputs.h"
#include "model/sampler.h"
#include "session/step_record.h"

namespace lastrow::cli {

struct GenerateOptions {
  std::string model = "fable-mha", prompt, mode = "cached";
  BackendFlags backend;
  CacheFlags cache;
  int32_t n_tokens = 20;
  std::optional<int32_t> chunk;
  std::vector<std::string> then;
  std::string cache_from, save_cache;  // files; "": none
  std::string prompts;                 // a file; "": --prompt
  std::optional<int32_t> batch;
  bool share_prefix = false, pad_left = false;
  SamplingOptions sampling;
  TraceOutputs outputs;
  bool json = false;

  bool many() const { return !prompts.empty(); }
};

void add_options(CLI::App& subcommand, GenerateOptions& o);

/// Throws UsageError, one line, for a number that is too small and for options that do not go together.
void require_consistent(const GenerateOptions& o);

/// cached, recompute or both; the cached one first. Throws UsageError for another name.
std::vector<Mode> modes_from_name(const std::string& name);

}  // namespace lastrow::cli
