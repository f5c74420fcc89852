// What key C copies: a row or a table that can be pasted into a spreadsheet.
//
// Lines end with a newline, and columns are separated by tabs. The first line names the columns. Each number
// is the shortest decimal that reads back as the same float.
#pragma once

#include <optional>
#include <string>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"

namespace lastrow::view {

struct CopiedText {
  std::string text;
  std::string what;   // "scores and weights of row 7, 8 rows"
  std::string error;  // why there is nothing to copy; then the others are empty
};

/// target: what is pinned or hovered; it must exist. A score or weight gives its whole row. Without a target, the
/// scores and weights of the row that decides are copied.
CopiedText copy_text(const Snapshot& snapshot, const Selection& at, const std::optional<Target>& target);

}  // namespace lastrow::view
