#include "cli/prompts_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/error.h"

namespace lastrow::cli {
namespace {

/// The tokens that a prompt can get: as many as the user wants, or until the context is full.
int32_t tokens_to_choose(const FilePrompt& prompt, int32_t n_tokens, int32_t context) {
  return std::min<int32_t>(n_tokens, context - static_cast<int32_t>(prompt.tokens.size()) + 1);
}

void add_all(BatchSession& session, const std::filesystem::path& file, std::span<const FilePrompt> prompts,
             int32_t n_tokens) {
  const int32_t context = session.max_seq_len();
  for (const FilePrompt& prompt : prompts) {
    const auto n = static_cast<int64_t>(prompt.tokens.size());
    if (n > context)
      throw CapacityError("{}: the prompt has {} tokens, but the context has room for {}: shorten the prompt",
                          place_of(file, prompt.line), n, context);
    try {
      session.add(prompt.tokens, tokens_to_choose(prompt, n_tokens, context));
    } catch (const CapacityError& error) {
      throw CapacityError("{}: {}", place_of(file, prompt.line), error.what());
    }
  }
}

void require_finite(const BatchSession& session, const Generation& generation, const std::string& place) {
  const auto& logits = generation.logits;
  if (!std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }))
    throw Error(
        "{}: step {} gave logits that are NaN or infinite: use --kv-dtype bf16 or f32, or another model",
        place, session.current_step());
}

/// starts_us [steps]: when each step began, from the start of the run.
PromptResult result_of(const Generation& generation, int32_t n_tokens, std::span<const double> starts_us) {
  const double joined_us = starts_us[static_cast<size_t>(generation.joined_step)];
  return {.tokens = generation.tokens,
          .logits = generation.logits,
          .context_full = static_cast<int32_t>(generation.tokens.size()) < n_tokens,
          .n_found = generation.n_prefix,
          .first_step = generation.joined_step,
          .last_step = generation.left_step,
          .queued_us = joined_us,
          .first_token_us = joined_us + generation.first_token_us};
}

}  // namespace

int64_t PromptsRun::n_found() const {
  int64_t n = 0;
  for (const PromptResult& prompt : prompts) n += prompt.n_found;
  return n;
}

PromptsRun run_prompts(BatchSession& session, const std::filesystem::path& file,
                       std::span<const FilePrompt> prompts, int32_t n_tokens, const PromptsEvents& events) {
  add_all(session, file, prompts, n_tokens);
  PromptsRun run{.prompts = std::vector<PromptResult>(prompts.size()), .row_bytes = session.token_bytes()};
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  std::vector<double> starts_us;
  const auto next_step = [&] {
    starts_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    return session.advance();
  };
  int64_t total = 0, done = 0;
  for (int32_t i = 0; i < session.n_generations(); ++i) total += session.generation(i).n_tokens;
  while (const BatchStep* step = next_step()) {
    run.steps.push_back(step->total);
    run.stepped.emplace_back();
    for (const SequenceStep& s : step->sequences) {
      const auto i = static_cast<size_t>(s.generation);
      run.stepped.back().push_back(s.generation);
      require_finite(session, session.generation(s.generation), place_of(file, prompts[i].line));
      if (s.leaves) run.prompts[i] = result_of(session.generation(s.generation), n_tokens, starts_us);
    }
    for (const SequenceStep& s : step->sequences)
      done += session.generation(s.generation).tokens.empty() ? 0 : 1;
    if (events.on_progress) events.on_progress(done, total);
    for (const SequenceStep& s : step->sequences)
      if (s.leaves && events.on_end) events.on_end(run, static_cast<size_t>(s.generation));
  }
  run.prefix = session.cache().prefix_counts();
  return run;
}

}  // namespace lastrow::cli
