// `lastrow generate --prompts`: a text for every line of a file, several of them in each step.
#pragma once

#include "cli/generate_options.h"

namespace lastrow::cli {

/// The options must be consistent (require_consistent). Throws Error.
void generate_prompts(const GenerateOptions& o);

}  // namespace lastrow::cli
