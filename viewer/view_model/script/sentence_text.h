// The braces in a script's sentence: {n}, {next}, {w3}, ….
#pragma once

#include <string>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/commands.h"

namespace lastrow::view {

/// Replaces each {name} by its value in this step. focus: the position that {p} and {w} mean; −1: none yet.
/// Throws UsageError for a name that is unknown or has no value now.
std::string fill_braces(const std::string& text, const Snapshot& snapshot, const Selection& at, int focus);

/// What to say after another poke than the one that was asked for.
std::string wrong_poke_sentence(const PokeRow& poke, const Target& asked);

/// Throws UsageError while `p` has no meaning: focus is −1.
void require_focus(int focus);

}  // namespace lastrow::view
