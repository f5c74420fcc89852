#include "cli/generation.h"

#include <algorithm>
#include <cmath>

namespace lastrow::cli {

ModeRun generate(DecodeSession& session, const std::vector<int32_t>& prompt, int32_t n_tokens,
                 const std::function<void(const ModeRun&)>& on_token) {
  ModeRun run{.mode = session.mode()};
  session.start(prompt);
  while (static_cast<int32_t>(run.tokens.size()) < n_tokens) {
    if (session.context_full()) {
      run.context_full = true;
      break;
    }
    const int64_t replayed_before = session.backend_info().n_replayed;
    run.steps.push_back(session.advance());
    run.n_replayed += session.backend_info().n_replayed - replayed_before;
    const auto logits = session.logits();
    if (!std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }))
      throw Error(
          "{}: step {} gave logits that are NaN or infinite: its weights are damaged or far too large",
          session.model().source(), session.current_step());
    run.logits.insert(run.logits.end(), logits.begin(), logits.end());
    run.attend_kernel = session.backend_info().attend_kernel;
    run.tokens.push_back(session.next_token());
    on_token(run);
  }
  return run;
}

Comparison compare(const ModeRun& a, const ModeRun& b) {
  const size_t n = std::min(a.tokens.size(), b.tokens.size());
  const auto first_difference =
      std::mismatch(a.tokens.begin(), a.tokens.begin() + static_cast<std::ptrdiff_t>(n), b.tokens.begin());
  const auto n_equal = static_cast<size_t>(first_difference.first - a.tokens.begin());
  const size_t n_compared = std::min(n, n_equal + 1);
  const size_t vocab_size = n == 0 ? 0 : a.logits.size() / a.tokens.size();
  float largest = 0;
  for (size_t i = 0; i < n_compared * vocab_size; ++i)
    largest = std::max(largest, std::abs(a.logits[i] - b.logits[i]));
  return {n_equal == a.tokens.size() && n_equal == b.tokens.size(), largest, static_cast<int32_t>(n_equal)};
}

StepRecord total(const ModeRun& run) {
  StepRecord sum;
  for (const StepRecord& step : run.steps) {
    sum.position = step.position;
    sum.phase = step.phase;
    sum.q_len = step.q_len;
    sum.kv_len = step.kv_len;
    sum.q_rows += step.q_rows;
    sum.kv_rows_projected += step.kv_rows_projected;
    sum.score_cells += step.score_cells;
    sum.cache_bytes_read += step.cache_bytes_read;
    sum.cache_bytes_written += step.cache_bytes_written;
    sum.kv_scratch_bytes += step.kv_scratch_bytes;
    sum.weight_bytes += step.weight_bytes;
    sum.flop += step.flop;
    sum.wall_us += step.wall_us;
  }
  return sum;
}

}  // namespace lastrow::cli
