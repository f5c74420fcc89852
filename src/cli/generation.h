// What `lastrow generate` runs, without a word of printing: one mode after the other, each choosing freely.
//
//   DecodeSession session(model, make_backend("eigen"), {.mode = Mode::cached});
//   ModeRun run = generate(session, prompt, 20, [](const ModeRun& so_far) { … });
//   Comparison c = compare(cached, recompute);
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "session/session.h"

namespace lastrow::cli {

/// What is wrong with the stored rows of K and V, over all layers.
struct StoredRows {
  int64_t n_not_finite = 0;  // elements that are NaN or infinite
  int64_t n_at_limit = 0;    // fp8: elements of ±448, where it saturates
  std::string first{};       // of those not finite: "K of layer 0, position 3, head 1"; "" if there is none
};
/// Downloads every stored row of the current step; only rows of f16, bf16, fp8 and int8 are looked at.
StoredRows check_stored_rows(const DecodeSession& session, DType kv_dtype);

struct ModeRun {
  Mode mode = Mode::cached;
  std::vector<int32_t> tokens{};    // chosen; the prompt is not among them
  std::vector<StepRecord> steps{};  // [tokens]   step i chose token i
  std::vector<float> logits{};      // [tokens, vocab_size], those that each token was chosen from
  std::string attend_kernel{};      // of the last step; "" on a backend without a choice
  int64_t n_replayed = 0;           // steps that the device ran as a record of an earlier one
  StoredRows stored{};              // of the last step; the caller's to fill in, after a device's report:
                                    // reading rows is work of the device too
  bool context_full = false;        // fewer tokens than were asked for, because the context was full
};

/// Starts the session with the prompt and advances until n_tokens are chosen or the context is full.
/// `on_token` is called after each. Throws UsageError and CapacityError as DecodeSession::start does, and
/// Error if a logit is not finite: a token chosen from such a row would be no choice of the model's. The
/// message blames the type of K and V, `kv_dtype`, where rows stored in it hold NaN or infinity.
ModeRun generate(DecodeSession& session, const std::vector<int32_t>& prompt, int32_t n_tokens, DType kv_dtype,
                 const std::function<void(const ModeRun&)>& on_token);

struct Comparison {
  bool tokens_equal;
  float
      max_abs_logit_diff;  // over the steps up to the one that chose the first differing token, that included
  int32_t n_equal;         // tokens before the first that differs
};

/// Two runs of the same prompt. Beyond the first differing token the inputs differ: nothing more is compared.
Comparison compare(const ModeRun& a, const ModeRun& b);

/// Sum of the steps; position, phase and lengths are those of the last one.
StepRecord total(const ModeRun& run);

}  // namespace lastrow::cli
