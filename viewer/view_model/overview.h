// What stands around the two panes: time, tokens, next tokens, heads, layers, costs, legend.
#pragma once

#include <string>
#include <vector>

#include "viewer/view_model/pane_builder.h"
#include "viewer/view_model/view_state.h"

namespace lastrow::view {

/// "Decode 4 · position 7 · 8 keys", "Prefill · positions 0–3 · 4 keys".
std::string banner_text(const Scene& scene);
std::vector<ScrubTick> scrub_ticks(const Scene& scene);
std::vector<BeatChip> beat_chips(Beat now);
std::vector<TokenChip> token_strip(const Scene& scene);
/// Five most probable, of one side.
NextTokens next_tokens(const Scene& scene, Side side);
/// "both sides choose “over”".
std::string next_summary(const Scene& scene);
HeadStrip head_strip(const Scene& scene, const Selection& selection);
LayerStrip layer_strip(const Scene& scene, const Selection& selection);
std::vector<CostEntry> cost_line(const Scene& scene);
Legend legend(const Scene& scene, const Selection& selection);
/// What the beat just did, both sides in one sentence.
std::string beat_sentence(const Scene& scene, const Selection& selection);

/// Everything of a ViewState that a scene and a selection decide; the rest is the controller's.
void fill_scene(const Scene& scene, const Selection& selection, ViewState& view);

}  // namespace lastrow::view
