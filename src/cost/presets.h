// Shapes of released models, each with its source.
//
//   for (const ModelShape& shape : presets()) …
//   const ModelShape& llama = find_preset("Llama 3 8B");    ignores case, spaces, dots, dashes and owner
//
// The sizes come from the release's config.json, which ModelShape::source names. A test compares n_params of
// each preset with the number that the release publishes.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cost/model_shape.h"

namespace lastrow {

std::span<const ModelShape> presets();

/// The preset of that name, or nullptr. The comparison ignores case, punctuation, an owner ("meta-llama/…"),
/// a leading "meta" and a trailing "hf". It also knows a few other common spellings.
const ModelShape* preset_or_null(std::string_view name);

/// The text "did you mean "llama-2-7b" or "llama-3-8b"? " with the presets whose names are nearest. "" if
/// every name differs by more than three letters.
/// A suffix that says how a model was tuned ("-Instruct") does not count.
std::string near_presets(std::string_view name);

/// As preset_or_null, but throws UsageError instead of returning nullptr. The message names the nearest
/// presets, and lists all.
const ModelShape& find_preset(std::string_view name);

}  // namespace lastrow
