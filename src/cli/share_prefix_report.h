// The table of `lastrow generate --share-prefix`: the same prompts without sharing and with it, in one run.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "cli/prompts_run.h"

namespace lastrow::cli {

struct SharePrefixReport {
  std::span<const FilePrompt> file;
  const PromptsRun* without;
  const PromptsRun* with;
};

/// A table, and whether the texts are equal. Ends in a newline.
std::string as_text(const SharePrefixReport& report);
nlohmann::ordered_json as_json(const SharePrefixReport& report);

}  // namespace lastrow::cli
