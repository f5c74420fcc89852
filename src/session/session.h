// A text generation that you can step forward, back, and to any step, with the K/V cache or without it.
//
//   DecodeSession s(model, std::move(backend), {.mode = Mode::cached});
//   s.start(model->tokenizer().encode("the quick brown fox"));   nothing has run yet
//   s.advance();                                                 step 0: prefill of the whole prompt
//   s.advance();                                                 step 1: decode of one token; and so on
//   s.advance(model->tokenizer().encode("jumps over"));          several given tokens: a second turn
//   s.go_to(0);                                                  back (or forward) to a step that was taken
//   s.set_pokes(pokes);                                          runs the changed steps again, same tokens
//   SavedCache saved = save_cache(s);                            saved_cache.h; it can be written to a file
//   s.start_from(saved, tokens);                                 a new text behind the saved rows
//
// Steps are numbered from 0. First come the steps of the prefill: one, or with SessionOptions::chunk one for
// each chunk of the prompt. Then each step feeds the token that the step before it chose, or given tokens.
// So a step may feed any number of tokens: n_tokens_at(step) says how long the text is at its end. Do not
// compute this from the number of the step.
//
// * Mode::recompute empties its storage before each step and feeds the whole prefix. Nothing else differs.
//   If the cache uses new positions (Positions::renumbered), each step of both modes runs the forward one token at a
//   time. recorder() then holds the last of these passes.
// * Only advance() can add a token. go_to() and set_pokes() run steps with the tokens that they had before.
//   If advance() from an earlier step feeds other tokens than before, the later steps are forgotten.
// * A cache that forgets rows (of kind window or budget), or seals blocks of K (int8-channel), takes at most
//   SessionOptions::chunk tokens in a step, and its rows cannot be saved. It cannot go back to rows that it has
//   forgotten or rounded, so stepping back runs the steps from 0 again. A poke of a row that is not stored any more
//   changes nothing, and its report says so.
// * Rows that start_from() loaded stay as they are. Stepping back never goes below them, and a poke `since`
//   of such a row is refused, because no step of this session computed it. A poke `now` works.
// * A call that throws changes nothing: step, tokens, pokes, logits, record, recorder, reports and stored
//   rows are as before. There is one exception, in Mode::recompute, because its storage is scratch: if a step
//   had begun, stored_row() throws a UsageError until the next call that succeeds. See transaction.h.
// * The caller owns the flag SessionOptions::stop. While it is true, advance(), go_to() and set_pokes() throw
//   Cancelled: a new call before it begins, a running call within milliseconds, even inside an operation
//   (core/stop.h). Work that a GPU has begun is not stopped. The session never resets the flag. start() and
//   start_from() run no step, so they do not look at it.
// * Steps of Phase::decode with the cache go through Backend::replay, except in three cases: the session
//   records (SessionOptions::record), it has SessionOptions::on_attend, or a poke is in force in the step.
//   Replay changes no counts and no bits.
//
// Invariant: either current_step() == −1 (nothing has run), or logits(), record(), recorder(), poke_report()
// and the stored rows are those of that step, computed by the backend in this run under the current pokes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache/make_cache.h"
#include "model/decoder.h"
#include "model/sampler.h"
#include "session/session_state.h"
#include "session/step_record.h"
#include "trace/attend_hook.h"
#include "trace/counting.h"
#include "trace/poke.h"
#include "trace/recorder.h"
#include "trace/tracing.h"

namespace lastrow {

struct Decorators;  // decorators.h
struct SavedCache;

struct SessionOptions {
  Mode mode = Mode::cached;
  SamplingOptions sampling{};
  // The tokens that a text may have. 0: the model's context. It may exceed the context only if the cache uses new
  // positions, because then no position reaches window + sinks, however long the text is. The session keeps the
  // tokens of the whole text, and reserves 32 bytes for each
  int32_t max_seq_len = 0;
  // Tokens of the prompt that a step feeds. 0: the whole prompt; if the cache limits steps, as many as its window,
  // its budget or a block; with new positions, 1
  int32_t chunk = 0;
  std::optional<RecordOptions> record{};    // what recorder() keeps; without it nothing is traced
  CacheOptions cache{};                     // without share_prefix; Mode::recompute: scratch_of(cache)
  AttendHook::Function on_attend{};         // is called after each attend; see trace/attend_hook.h
  const std::atomic<bool>* stop = nullptr;  // may be set from any thread; must outlive the session
};

class DecodeSession {
 public:
  DecodeSession(std::shared_ptr<const Model> model, std::unique_ptr<Backend> backend, SessionOptions options);
  ~DecodeSession();
  DecodeSession(const DecodeSession&) = delete;
  DecodeSession& operator=(const DecodeSession&) = delete;

  /// Forgets everything and takes a new prompt. Throws UsageError if it is empty or holds a token outside the
  /// vocabulary, CapacityError if it does not fit.
  void start(std::vector<int32_t> prompt);
  /// The same with a prompt whose first tokens are the saved ones: their rows are loaded, and the prefill
  /// begins behind them. The cache may be of another kind than the saved one. If there are no new tokens, the
  /// last saved token is fed again, to get its logits. Mode::recompute takes the tokens and needs no rows.
  /// Throws as start does. Throws also UsageError if another model made the rows, if K or V is stored in
  /// another type here, or if this kind of cache gives the tokens other positions.
  void start_from(const SavedCache& saved, std::span<const int32_t> new_tokens);
  /// Runs the next step: the next chunk of the prompt, or, behind the prompt, the token that the current step
  /// chose (or `forced` if that is ≥ 0). Throws CapacityError if the text has max_seq_len() tokens; what was
  /// generated is kept. Throws UsageError for a forced token before the prompt is finished, or outside the vocabulary.
  const StepRecord& advance(int32_t forced = -1);
  /// Runs one step that feeds these tokens, one or more, and is of Phase::prefill. Throws as above, and also
  /// if they do not fit in the context, or are more than a cache that limits steps takes at once.
  const StepRecord& advance(std::span<const int32_t> tokens);
  /// Runs `step` again with the tokens it had; 0 ≤ step ≤ last_step().
  const StepRecord& go_to(int32_t step);
  /// Replaces the pokes. Runs the steps that this changes again, up to the current one, with the same tokens.
  void set_pokes(std::vector<Poke> pokes);
  std::span<const Poke> pokes() const { return state_.pokes; }

  /// advance, go_to or set_pokes as an object that can be undone: transaction.h.
  class Transaction;

  const Model& model() const { return *model_; }
  Mode mode() const { return options_.mode; }
  const SessionOptions& options() const { return options_; }
  BackendInfo backend_info() const;
  /// The tokens that a text of this session may have.
  int32_t max_seq_len() const;
  /// The tokens given at the start, loaded ones included.
  int32_t prompt_len() const { return state_.prompt_len; }
  /// The tokens whose rows start_from() loaded.
  int32_t n_loaded() const { return state_.n_loaded; }
  int32_t current_step() const { return state_.step; }
  /// The last step that was taken in this text; −1: none.
  int32_t last_step() const { return static_cast<int32_t>(state_.steps().size()) - 1; }
  /// The steps that feed the prompt: 0 … n_prefill_steps() − 1.
  int32_t n_prefill_steps() const;
  bool context_full() const { return state_.step >= 0 && n_tokens_at(state_.step) >= max_seq_len(); }
  /// The prompt, then the tokens that the steps behind it fed, up to last_step().
  std::span<const int32_t> tokens() const { return state_.tokens(); }
  /// The number of tokens of the text at the end of a step, −1 ≤ step ≤ last_step(). For −1 it is n_loaded().
  /// The cache may hold fewer rows: kv_len().
  int32_t n_tokens_at(int32_t step) const;
  /// Whether the step fed given tokens (prefill) or one that was chosen or forced (decode).
  Phase phase_of(int32_t step) const;

  /// For the current step: the logits [vocab_size] of its last token, and the token chosen from them.
  std::span<const float> logits() const { return state_.logits; }
  int32_t next_token() const { return state_.next_token; }
  const StepRecord& record() const { return state_.record; }
  /// What the steps did, with the session's numbers of steps. Call it only if SessionOptions::record is set.
  const Recorder& recorder() const;
  /// What poke i did in the current step.
  const PokeReport& poke_report(size_t i) const;

  /// The cache's bookkeeping after the current step: its kind, sizes and usage.
  const KvCache& cache() const { return *cache_; }
  /// The bytes that were allocated for K and V.
  int64_t storage_bytes() const { return storage_->bytes(); }
  /// The bytes that the rows of one token take in all layers: KvStorage::token_bytes.
  int64_t token_bytes() const { return storage_->token_bytes(); }
  /// The number of K rows (and of V rows) that each layer holds after the current step. Their indices are
  /// 0 … kv_len() − 1. position_of, slot and stored_row throw UsageError for another index.
  /// If the windowed layers have blocks of their own, kv_len, position_of and slot are those of the other layers,
  /// which hold every row; stored_row and stored_rows count the indices of their layer (KvCache::of_layer).
  int32_t kv_len() const { return cache_->length(0); }
  /// The position of the token whose rows are at an index.
  int32_t position_of(int32_t index) const;
  /// The slot in which the K and V rows at an index are stored.
  int64_t slot(int32_t index) const;
  /// A copy of the stored row at an index, all K/V heads: [1, n_kv_heads, head_dim], f32, on the host.
  Tensor stored_row(int32_t layer, RowKind kind, int32_t index) const;
  /// Exact copies of all stored rows of a layer: [n_rows, n_kv_heads, head_dim], on the host, f64 if the
  /// backend stores f64, else f32.
  Tensor stored_rows(int32_t layer, RowKind kind) const;

 private:
  struct Backup;  // transaction.h

  void require_prompt(std::span<const int32_t> prompt) const;
  void require_fits(const SavedCache& saved) const;
  void require_held(const KvCache& cache, int32_t index) const;
  void require_stored_rows() const;
  /// CacheSpec::changes_held_rows of the cache of this session. False in Mode::recompute.
  bool changes_held_rows() const { return mode() == Mode::cached && cache_->spec().changes_held_rows(); }

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Decorators> stack_;
  Decoder decoder_;
  Workspace workspace_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<KvStorage> storage_;
  Sampler sampler_;
  SessionState state_;
  std::unique_ptr<Backup> backup_;  // memory for a transaction's copy of the state; null while one is open
};

}  // namespace lastrow
