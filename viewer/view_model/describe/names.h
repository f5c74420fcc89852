// How steps, tokens, layers and heads are named on the screen.
#pragma once

#include <string>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"

namespace lastrow::view {

/// "prefill", "decode 3". If the prompt is fed one token at a time: "prefill step 2", "decode step 11", by the number of
/// the step.
std::string step_text(const Setup& setup, int step);
/// The same of the step that fed this position.
std::string step_name(const Setup& setup, int position);
/// The label of the token at a position of the step.
std::string token_label(const Snapshot& snapshot, int position);
/// "layer 3 (last)".
std::string layer_text(const ModelConfig& config, int layer);
/// "K/V head 1, shared by query heads 4–7".
std::string sharing_text(const ModelConfig& config, int kv_head);
/// The K/V head that the selected query head reads.
int shown_kv_head(const Snapshot& snapshot, const Selection& at);

}  // namespace lastrow::view
