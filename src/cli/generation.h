// The work of `lastrow generate`, without printing. Each mode runs alone and chooses its own tokens.
//
//   DecodeSession session(model, make_backend("eigen"), {.mode = Mode::cached});
//   ModeRun run = generate(session, prompt, 20, DType::f32, [](const ModeRun& so_far) { … });
//   Comparison c = compare(cached, recompute);
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "session/session.h"

namespace lastrow::cli {

/// Elements of the stored K and V that their type could not hold, over all layers.
struct StoredRows {
  int64_t n_not_finite = 0;  // elements that are NaN or infinite
  int64_t n_at_limit = 0;    // fp8 only: elements that are ±448, the largest number
  std::string first{};       // the first not finite: "K of layer 0, position 3, head 1"; "" if there is none
};
/// Downloads and checks every stored row of the current step. Checks only f16, bf16, fp8 and int8.
StoredRows check_stored_rows(const DecodeSession& session, DType kv_dtype);

struct ModeRun {
  Mode mode = Mode::cached;
  std::vector<int32_t> tokens{};    // the chosen tokens, without the prompt
  std::vector<StepRecord> steps{};  // [tokens]                step i chose token i
  std::vector<float> logits{};      // [tokens, vocab_size]    row i: the logits that token i was chosen from
  std::string attend_kernel{};      // of the last step; "" if the backend has no kernels to choose from
  int64_t n_replayed = 0;           // steps that the device ran as the record of an earlier step
  StoredRows stored{};              // of the last step; the caller fills it in after the report of a device,
                                    // because downloading rows would count in that report
  bool context_full = false;        // the context was full before n_tokens were chosen
};

/// Starts the session with the prompt, and advances until n_tokens are chosen or the context is full. Calls
/// `on_token` after each token. Throws UsageError and CapacityError as DecodeSession::start does. Throws
/// Error if a logit is not finite, because a token chosen from such logits means nothing. If stored rows hold
/// NaN or infinity, the message names their type, `kv_dtype`, as the likely cause.
ModeRun generate(DecodeSession& session, const std::vector<int32_t>& prompt, int32_t n_tokens, DType kv_dtype,
                 const std::function<void(const ModeRun&)>& on_token);

struct Comparison {
  bool tokens_equal;
  float max_abs_logit_diff;  // over the steps up to the first whose tokens differ, including that step
  int32_t n_equal;           // number of tokens before the first that differs
};

/// Compares two runs of the same prompt. After the first tokens that differ, the inputs differ too, so the
/// comparison stops there.
Comparison compare(const ModeRun& a, const ModeRun& b);

/// The sum over all steps. Position, phase and lengths are those of the last step.
StepRecord total(const ModeRun& run);

}  // namespace lastrow::cli
