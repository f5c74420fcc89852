// One run over all prompts of a file: they step together, and each gets its tokens.
//
//   PromptsRun run = run_prompts(session, prompts, 20, [](const PromptsRun& so_far, size_t i) { … });
//
// `on_end` is called when prompt i is complete, in the order in which the prompts end.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/prompts_file.h"
#include "session/batch_session.h"

namespace lastrow::cli {

struct PromptResult {
  std::vector<int32_t> tokens{};  // the chosen tokens, without the prompt
  std::vector<float> logits{};    // [vocab_size], from which the last token was chosen
  bool context_full = false;      // the context was full before n_tokens were chosen
  int32_t n_found = 0;            // prompt tokens whose rows were found in the cache
  int32_t first_step = 0, last_step = 0;
  // Both from the start of the run, so all prompts that join in one step have the same queued_us.
  double queued_us = 0;       // to the start of its prefill
  double first_token_us = 0;  // to its first token
};

struct PromptsRun {
  std::vector<PromptResult> prompts{};          // [prompts]
  std::vector<StepRecord> steps{};              // of all sequences together
  std::vector<std::vector<int32_t>> stepped{};  // [steps]  the prompts in each step
  PrefixCounts prefix{};
  int64_t row_bytes = 0;  // of one token: K and V in all layers

  int64_t n_found() const;
};

struct PromptsEvents {
  std::function<void(const PromptsRun&, size_t i)> on_end{};
  std::function<void(int64_t done, int64_t total)> on_progress{};  // in tokens that are chosen
};

/// The session must be new. Throws CapacityError, naming file and line, for a prompt that does not fit, before
/// anything runs; Error if a logit is not finite.
PromptsRun run_prompts(BatchSession& session, const std::filesystem::path& file,
                       std::span<const FilePrompt> prompts, int32_t n_tokens, const PromptsEvents& events);

}  // namespace lastrow::cli
