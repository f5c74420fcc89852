#include "viewer/view_model/describe/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/number.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = std::min(text.find_first_not_of(" \t"), text.size());
  const auto last = text.find_last_not_of(" \t");
  return last == std::string_view::npos ? std::string_view() : text.substr(first, last - first + 1);
}

}  // namespace

SamplingOptions sampling_from(std::string_view temperature, std::string_view seed) {
  SamplingOptions options;
  const auto degrees = real_number(trimmed(temperature));
  if (!degrees || !(*degrees >= 0 && *degrees <= kMostTemperature))
    throw UsageError("temperature {}: give a number from 0 (greedy) to {}", in_quotes(temperature),
                     kMostTemperature);
  const auto number = whole_number<uint64_t>(trimmed(seed));
  if (!number) throw UsageError("seed {}: give a whole number such as 7", in_quotes(seed));
  options.temperature = *degrees + 0.0f;  // −0 becomes 0
  options.seed = *number;
  return options;
}

std::string temperature_text(float temperature) { return fmt::format("{}", temperature); }

float temperature_after(float temperature, int tenths) {
  const float now = std::round(temperature * 10);
  return std::clamp((now + static_cast<float>(tenths)) / 10, 0.0f, kMostTemperature);
}

std::string sampling_text(const SamplingOptions& options) {
  if (options.temperature == 0) return "greedy";
  return fmt::format("temperature {} · seed {}", temperature_text(options.temperature), options.seed);
}

std::string sampling_note(const SamplingOptions& options) {
  if (options.temperature == 0)
    return "Greedy: each step takes the most probable token. The seed is not used.";
  return fmt::format(
      "Each step draws a token from softmax(logits / {}). The same seed draws the same tokens again.",
      temperature_text(options.temperature));
}

SamplingState sampling_state(const Snapshot& snapshot) {
  const SamplingOptions& options = snapshot.setup->sampling;
  SamplingState state;
  state.greedy = options.temperature == 0;
  state.text = sampling_text(options);
  state.bars_note = "at temperature " + (state.greedy ? "1" : temperature_text(options.temperature));
  state.tooltip =
      state.greedy
          ? "Each step takes the most probable token. The bars show softmax(logits), that is at temperature "
            "1."
          : fmt::format(
                "Each step draws a token with the probabilities in the bars: softmax(logits / {}). The "
                "side with the cache chooses, and both sides read the same token.",
                temperature_text(options.temperature));
  for (const Mode side : {Mode::cached, Mode::recompute})
    state.chosen[static_cast<size_t>(side)] = snapshot.now->side(side).next_token;
  return state;
}

void at_temperature(NextTokens& next, const std::vector<float>& logits, float temperature) {
  if (temperature == 0) return;
  double largest = -INFINITY;  // a NaN counts as −∞, as in the sampler
  for (const float x : logits)
    if (!std::isnan(x)) largest = std::max(largest, double{x});
  const auto weight = [&](float x) {
    return std::isnan(x) ? 0.0 : std::exp((double{x} - largest) / double{temperature});
  };
  double sum = 0;
  for (const float x : logits) sum += weight(x);
  for (NextToken& token : next.top)
    token.probability = static_cast<float>(weight(logits[static_cast<size_t>(token.id)]) / sum);
}

}  // namespace lastrow::view
