// The work of `lastrow generate --prompt`, without printing. Each mode runs alone and chooses its own tokens.
//
//   DecodeSession session(model, make_backend("eigen"), {.mode = Mode::cached});
//   Conversation talk{.prompt = prompt, .n_tokens = 20};
//   require_fits(talk, context);
//   ModeRun run = generate(session, talk, {}, [](const ModeRun& so_far) { … });
//   Comparison c = compare(cached, recompute);
//
// A conversation has one or more turns. A turn gives tokens and then chooses n_tokens of its own. The second
// turn is given to the warm cache: only its own tokens are fed, and the last chosen token of the turn before,
// which has no row yet.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "session/saved_cache.h"
#include "session/session.h"

namespace lastrow::cli {

struct Conversation {
  const SavedCache* from = nullptr;  // rows of an earlier text, which comes before the prompt; null: none
  std::vector<int32_t> prompt{};     // may be empty if `from` is not null
  std::vector<std::vector<int32_t>> then{};  // the tokens given in the second turn, the third, …
  int32_t n_tokens = 20;                     // that each turn chooses
  int32_t chunk = 0;                         // the most given tokens that a step feeds; 0: all
  bool keeps_logits = true;                  // in ModeRun::logits, to compare two runs
};

/// The tokens of all turns, given and chosen.
int64_t n_tokens_of(const Conversation& talk);

/// The larger of the context and of n_tokens, for a cache with new positions. Throws CapacityError if they are too many
/// for an int32_t.
int32_t room_for_text(int64_t n_tokens, int32_t context);

/// Throws CapacityError, with the sizes, if the context is full before the last turn begins, or if loaded and new
/// tokens do not fit.
void require_fits(const Conversation& talk, int32_t context);

/// Elements of the stored K and V that their types could not hold, over all layers.
struct StoredRows {
  int64_t n_not_finite = 0;  // elements that are NaN or infinite
  int64_t n_at_limit = 0;    // fp8 only: elements that are ±448, the largest number
  std::string first{};       // the first not finite: "K of layer 0, position 3, head 1"; "" if there is none
};
/// Downloads and checks every stored row of the current step. Checks only f16, bf16, fp8 and int8.
StoredRows check_stored_rows(const DecodeSession& session, KvDtypes dtypes);

struct Turn {
  std::vector<int32_t> given{}, chosen{};
};

struct ModeRun {
  Mode mode = Mode::cached;
  std::vector<Turn> turns{};
  std::vector<int32_t> tokens{};     // the chosen tokens of all turns
  std::vector<StepRecord> steps{};   // prefill steps before the last one of a turn choose no token
  std::vector<int32_t> chosen_by{};  // [tokens]             the step that chose token i
  std::vector<float> logits{};       // [tokens, vocab_size] if kept: row i is what token i was chosen from
  std::string attend_kernel{};       // of the last step; "" if the backend has no kernels to choose from
  int64_t n_replayed = 0;            // steps that the device ran as the record of an earlier step
  StoredRows stored{};               // of the last step; the caller fills it in after the report of a device,
                                     // because downloading rows would count in that report
  bool context_full = false;         // the context was full before the last turn chose n_tokens
};

/// Starts the session and runs all turns, until n_tokens are chosen in the last one or the context is full.
/// The session's options must name the same chunk. Calls `on_token` after each token. Throws UsageError and
/// CapacityError as DecodeSession::start and start_from do. Throws Error if a logit is not finite, because a
/// token chosen from such logits means nothing. If stored rows hold NaN or infinity, the message names their
/// types, `dtypes`, as the likely cause.
ModeRun generate(DecodeSession& session, const Conversation& talk, KvDtypes dtypes,
                 const std::function<void(const ModeRun&)>& on_token);

struct Comparison {
  bool tokens_equal;
  float max_abs_logit_diff;  // over the choices up to the first whose tokens differ, including that choice
  int32_t n_equal;           // number of tokens before the first that differs
};

/// Compares two runs of the same conversation that kept their logits. After the first tokens that differ, the inputs
/// differ too, so the comparison stops there.
Comparison compare(const ModeRun& a, const ModeRun& b);

/// Every token of the run: given and chosen ones, in the order of the text.
std::vector<int32_t> all_tokens(const ModeRun& run);

/// The sum over all steps. Position, phase, lengths and what the cache holds are those of the last step.
StepRecord total(std::span<const StepRecord> steps);

/// The name as the user wrote it, except that a backend in double precision stores f64 for f32.
std::string stored_name(KvDtypes dtypes, const BackendInfo& backend);

}  // namespace lastrow::cli
