#include "cli/prompts_run.h"

#include <algorithm>
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

PromptResult result_of(const Generation& generation, int32_t n_tokens) {
  return {.tokens = generation.tokens,
          .logits = generation.logits,
          .context_full = static_cast<int32_t>(generation.tokens.size()) < n_tokens,
          .n_found = generation.n_prefix,
          .first_step = generation.joined_step,
          .last_step = generation.left_step,
          .queued_us = generation.queued_us,
          .first_token_us = generation.first_token_us};
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
  const CacheSpec& spec = session.cache().spec();
  PromptsRun run{.prompts = std::vector<PromptResult>(prompts.size()),
                 .row_bytes = int64_t{spec.n_layers} * spec.n_kv_heads *
                              (spec.row_bytes(RowKind::k) + spec.row_bytes(RowKind::v))};
  int64_t total = 0, done = 0;
  for (int32_t i = 0; i < session.n_generations(); ++i) total += session.generation(i).n_tokens;
  while (const BatchStep* step = session.advance()) {
    run.steps.push_back(step->total);
    run.stepped.emplace_back();
    for (const SequenceStep& s : step->sequences) {
      const auto i = static_cast<size_t>(s.generation);
      run.stepped.back().push_back(s.generation);
      require_finite(session, session.generation(s.generation), place_of(file, prompts[i].line));
      if (s.leaves) run.prompts[i] = result_of(session.generation(s.generation), n_tokens);
    }
    done += static_cast<int64_t>(step->sequences.size());
    if (events.on_progress) events.on_progress(done, total);
    for (const SequenceStep& s : step->sequences)
      if (s.leaves && events.on_end) events.on_end(run, static_cast<size_t>(s.generation));
  }
  run.prefix = session.cache().prefix_counts();
  return run;
}

}  // namespace lastrow::cli
