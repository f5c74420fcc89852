// Reports a run over a file of prompts: a line for each prompt, a table, and JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "cli/prompts_run.h"
#include "model/tokenizer.h"

namespace lastrow::cli {

struct PromptsReport {
  std::string model, backend;
  std::string cache, kv_dtype;  // as in --cache and --kv-dtype
  int32_t batch = 1;
  std::span<const FilePrompt> file;
  const Tokenizer* tokenizer = nullptr;
};

/// "  12  the quick brown fox jumps": the number of the line, and the text with its prompt.
std::string line_of(const PromptsReport& report, const PromptsRun& run, size_t i);

/// Ends in a newline.
std::string as_table(const PromptsReport& report, const PromptsRun& run);
nlohmann::ordered_json as_json(const PromptsReport& report, const PromptsRun& run);

}  // namespace lastrow::cli
