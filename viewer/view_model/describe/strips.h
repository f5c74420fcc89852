// The strips around the panes: tokens, next tokens, heads, model.
#pragma once

#include <string>
#include <vector>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/strips.h"

namespace lastrow::view {

std::vector<TokenChip> token_strip(const Snapshot& snapshot);
/// The five most probable next tokens of one side.
NextTokens next_tokens(const Snapshot& snapshot, Mode side);
/// "both sides choose “over”".
std::string next_summary(const Snapshot& snapshot);
HeadStrip head_strip(const Snapshot& snapshot, const Selection& at);
ModelStrip model_strip(const Snapshot& snapshot, const Selection& at);

/// The query head whose last row puts the largest weight on one past key. If there are other keys, key 0 does not
/// count, because many heads put their weight on key 0 when no other key matters to them.
int most_focused_head(const Setup& setup, const StepData& step, int layer);

}  // namespace lastrow::view
