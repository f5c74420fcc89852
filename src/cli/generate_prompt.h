// `lastrow generate --prompt`: one text, with the cache, without it, or both ways.
#pragma once

#include <memory>
#include <string>

#include "cli/generate_options.h"
#include "model/model.h"

namespace lastrow::cli {

/// The options must be consistent (require_consistent). Throws Error.
void generate_prompt(const GenerateOptions& o);

/// Loads a model, with progress.
std::shared_ptr<const Model> load_with_progress(const std::string& name);

}  // namespace lastrow::cli
