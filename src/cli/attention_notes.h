// Notes for the user about an attention: NaN, infinity, and elements that a stored type cannot hold.
#pragma once

#include <string>
#include <vector>

#include "cli/attention_file.h"

namespace lastrow::cli {

/// One line per finding: NaN or infinity in q, k or v; elements of K or V that their stored type cannot hold.
std::vector<std::string> notes_on_input(const AttentionInput& input);

/// One line per finding: rows (t, head) whose output is NaN or infinite, and rows that see keys but have only
/// scores of −∞. Each line says how many rows there are, which is the first, and why.
std::vector<std::string> notes_on_output(const AttentionInput& input, const AttentionOutput& output);

}  // namespace lastrow::cli
