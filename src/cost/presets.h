// Shapes of released models, each with its source.
//
//   for (const ModelShape& shape : presets()) …
//   const ModelShape& llama = find_preset("Llama 3 8B");      forgiving: case, spaces, dots, dashes, owner
//
// Sizes are those of the release's config.json (named in ModelShape::source). A test compares n_params of
// each with the count that the release publishes.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cost/model_shape.h"

namespace lastrow {

std::span<const ModelShape> presets();

/// The preset of that name or nullptr. Compared without case and punctuation, an owner ("meta-llama/…") and a
/// leading "meta" or trailing "hf" left off; a few other common spellings are known.
const ModelShape* preset_or_null(std::string_view name);

/// "did you mean "llama-2-7b" or "llama-3-8b"? " of the presets whose names are nearest, "" if none is near:
/// more than three letters to change. What is said of how a model was tuned ("-Instruct") does not count.
std::string near_presets(std::string_view name);

/// The same as preset_or_null, but throws UsageError that names the nearest presets, if any is near, and all of them.
const ModelShape& find_preset(std::string_view name);

}  // namespace lastrow
