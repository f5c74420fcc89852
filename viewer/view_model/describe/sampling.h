// How the next token is chosen: the fields that the user fills in, and what they mean for the bars.
#pragma once

#include <string>
#include <string_view>

#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/sampling.h"
#include "viewer/view_model/state/strips.h"

namespace lastrow::view {

constexpr float kMostTemperature = 2;

/// Reads the two fields. Throws UsageError with one line for a temperature outside 0 … 2,
/// or a seed that is not a whole number.
SamplingOptions sampling_from(std::string_view temperature, std::string_view seed);
/// "0.8", "1", "0.25": the shortest text that sampling_from reads as the same number.
std::string temperature_text(float temperature);
/// The temperature one or more tenths higher or lower, within 0 … 2.
float temperature_after(float temperature, int tenths);

/// "greedy" or "temperature 0.8 · seed 7".
std::string sampling_text(const SamplingOptions& options);
/// A sentence for the prompt box: what these options do.
std::string sampling_note(const SamplingOptions& options);
SamplingState sampling_state(const Snapshot& snapshot);

/// Replaces the probabilities, softmax(logits), by softmax(logits / temperature). Greedy has no temperature of
/// its own; the probabilities stay those at temperature 1.
void at_temperature(NextTokens& next, const std::vector<float>& logits, float temperature);

}  // namespace lastrow::view
