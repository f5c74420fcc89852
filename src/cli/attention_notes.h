// What a person should know of an attention's numbers: NaN, infinity and what a stored type cannot hold.
#pragma once

#include <string>
#include <vector>

#include "cli/attention_file.h"

namespace lastrow::cli {

/// One line each: NaN or infinity in q, k, v; elements of K and V that their stored type cannot hold.
std::vector<std::string> notes_on_input(const AttentionInput& input);

/// One line each, of rows (t, head): outputs that are NaN or infinite, and rows that see keys but whose scores
/// are all −∞; how many, the first, and why.
std::vector<std::string> notes_on_output(const AttentionInput& input, const AttentionOutput& output);

}  // namespace lastrow::cli
