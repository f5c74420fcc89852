// Makes everything that the prompt box shows from what is typed in it.
#pragma once

#include <cstdint>
#include <string>

#include "viewer/view_model/describe/setup.h"
#include "viewer/view_model/state/prompt_box.h"

namespace lastrow::view {

/// What is typed so far. refused: why it could not be run, until the next change.
struct PromptDraft {
  std::string text, temperature, seed;
  uint64_t serial = 0;  // grows when something else than the field changes its text
  std::string refused;
};

/// Why the model cannot read the text; "" if it can. A text without a word is only unfinished.
std::string why_not_readable(const Setup& setup, const std::string& text);

/// setup may be null: no model is there yet, so nothing can be checked.
PromptBox build_prompt_box(const Setup* setup, const PromptDraft& draft);

}  // namespace lastrow::view
