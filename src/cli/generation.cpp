#include "cli/generation.h"

#include <algorithm>
#include <cmath>

#include "cache/kv_codec.h"

namespace lastrow::cli {

StoredRows check_stored_rows(const DecodeSession& session, DType kv_dtype) {
  StoredRows found;
  if (kv_dtype == DType::f32 || session.mode() == Mode::recompute || session.current_step() < 0) return found;
  for (int32_t layer = 0; layer < session.model().config().n_layers; ++layer)
    for (const RowKind kind : {RowKind::k, RowKind::v})
      for (int32_t s = 0; s < session.kv_len(); ++s) {
        const Tensor row = session.stored_row(layer, kind, s);
        const float* x = row.data<float>();
        for (int64_t i = 0; i < row.size(); ++i) {
          if (kv_dtype == DType::fp8_e4m3 && std::abs(x[i]) == 448) ++found.n_at_limit;
          if (!std::isfinite(x[i]) && found.n_not_finite++ == 0)
            found.first = fmt::format("{} of layer {}, position {}, head {}", kind == RowKind::k ? "K" : "V",
                                      layer, session.position_of(s), i / row.shape()[2]);
        }
      }
  return found;
}

namespace {

[[noreturn]] void fail_not_finite(const DecodeSession& session, DType kv_dtype) {
  const StoredRows stored = check_stored_rows(session, kv_dtype);
  if (stored.n_not_finite > 0)
    throw Error(
        "{}: step {} gave logits that are NaN or infinite, and {} stored elements are too, the first in {}: "
        "{} may not be able to hold them; use --kv-dtype bf16 or f32",
        session.model().source(), session.current_step(), stored.n_not_finite, stored.first,
        kv_dtype_name(kv_dtype));
  throw Error("{}: step {} gave logits that are NaN or infinite: the weights are damaged or far too large",
              session.model().source(), session.current_step());
}

}  // namespace

ModeRun generate(DecodeSession& session, const std::vector<int32_t>& prompt, int32_t n_tokens, DType kv_dtype,
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
      fail_not_finite(session, kv_dtype);
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
