// The table of `lastrow generate --share-prefix`: the same prompts without sharing and with it.
//
// A prompt's time to first token counts from the start of the run, when all prompts wait. So it includes the
// steps of earlier prompts, and the step that a prompt waits for because another one first fills the blocks that
// both share. Each time is the median over the runs; the counts are the same in each run.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "cli/prompts_run.h"

namespace lastrow::cli {

struct SharePrefixReport {
  std::span<const FilePrompt> file;
  std::span<const PromptsRun> without, with;  // as many of each; at least one
};

/// A table, and whether the texts are equal. Ends in a newline.
std::string as_text(const SharePrefixReport& report);
nlohmann::ordered_json as_json(const SharePrefixReport& report);

}  // namespace lastrow::cli
