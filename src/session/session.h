// A generation that can be stepped forward, back and to any position, with the K/V cache or without.
//
//   DecodeSession s(model, std::move(backend), {.mode = Mode::cached});
//   s.start(model->tokenizer().encode("the quick brown fox"));   nothing has run yet
//   s.advance();        step 0: prefill of the whole prompt
//   s.advance();        step 1: decode, one token; and so on
//   s.go_to(0);         back (or forward) to any step that has been taken
//   s.set_pokes(pokes); runs again what the pokes touch, tokens held
//
// Steps count from 0 = prefill. Step i ≥ 1 takes as input the token that step i − 1 chose. With a prompt of p
// tokens, step i ends at position p − 1 + i and sees p + i keys.
//
// * Mode::recompute empties its storage before each step and feeds the whole prefix: nothing else differs.
// * Tokens are held when steps are run again: only advance() from the last step chooses. After advance() from
//   an earlier step the later ones are forgotten if the choice differs.
// * A call that throws leaves all as it was: step, tokens, pokes, logits, record, recorder, reports, stored
//   rows. Only Mode::recompute, whose storage is scratch, loses its stored rows to a step that began: until
//   the next call that succeeds stored_row() then throws a UsageError.
// * SessionOptions::stop is the caller's. While it is true a running call ends before its next layer (on a
//   device that replays its steps: after the step), and one that comes later before it begins, both with
//   Cancelled, until whoever set it takes it back. So it does not matter which comes first, the call or the
//   flag.
// * Decode steps with the cache go through Backend::replay, unless they are recorded (SessionOptions::record)
//   or a poke is in force in them. Counts and bits are the same either way.
//
// Invariant: current_step() == −1 (nothing has run) or logits(), record(), recorder(), poke_report() and the
// stored rows belong to that step, computed by the backend in this run with the pokes now in force.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "model/decoder.h"
#include "model/sampler.h"
#include "session/saved_rows.h"
#include "session/step_record.h"
#include "trace/counting.h"
#include "trace/poke.h"
#include "trace/recorder.h"
#include "trace/tracing.h"

namespace lastrow {

struct SessionOptions {
  Mode mode = Mode::cached;
  SamplingOptions sampling{};
  int32_t max_seq_len = 0;                  // 0: the model's context
  std::optional<RecordOptions> record{};    // what recorder() is to keep; none: nothing is traced
  DType kv_dtype = DType::f32;              // of the cache (kv_codec.h); the recompute scratch is f32
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
  /// Runs the next step; its input is the token the current step chose, or `forced` if given (≥ 0).
  /// Throws CapacityError if the context is full; what was generated is kept.
  const StepRecord& advance(int32_t forced = -1);
  /// Runs `step` again with the tokens it had; 0 ≤ step ≤ last_step().
  const StepRecord& go_to(int32_t step);
  /// Puts these pokes in force and runs again the steps they touch, up to the current one, tokens held.
  void set_pokes(std::vector<Poke> pokes);
  std::span<const Poke> pokes() const;

  const Model& model() const { return *model_; }
  Mode mode() const { return options_.mode; }
  BackendInfo backend_info() const;
  int32_t max_seq_len() const;
  int32_t prompt_len() const { return prompt_len_; }
  int32_t current_step() const { return step_; }
  int32_t last_step() const { return static_cast<int32_t>(tokens_.size()) - prompt_len_; }
  bool context_full() const { return step_ >= 0 && n_tokens_at(step_) >= max_seq_len(); }
  /// Every token fed so far: the prompt, then the inputs of steps 1 … last_step().
  std::span<const int32_t> tokens() const { return tokens_; }
  int32_t n_tokens_at(int32_t step) const { return prompt_len_ + step; }

  /// Of the current step: logits [vocab_size] of the last token, and the token chosen from them.
  std::span<const float> logits() const { return logits_; }
  int32_t next_token() const { return next_token_; }
  const StepRecord& record() const { return record_; }
  /// What the steps did, by their index in the history; only with options.record.
  const Recorder& recorder() const;
  /// What poke i did in the current step.
  const PokeReport& poke_report(size_t i) const;
  /// Allocated for K and V, counted at the allocations.
  int64_t storage_bytes() const { return storage_->bytes(); }
  /// Where the K and V rows of an index are. Throws UsageError for an index that the step does not see.
  int64_t slot(int32_t index) const;
  /// The stored row of an index of the sequence, all K/V heads, downloaded: [1, n_kv_heads, head_dim], f32.
  Tensor stored_row(int32_t layer, RowKind kind, int32_t index) const;

 private:
  friend class TwinSession;  // its two sides succeed or fail together

  // ---- change.cpp: what a call that fails has changed is undone
  /// What advance, go_to and set_pokes change, as it was before.
  struct Before {
    int32_t step = -1, next_token = -1;
    StepRecord record;
    std::vector<int32_t> tokens;
    std::vector<Poke> pokes;
    std::vector<PokeReport> reports;
    SavedRows rows;                       // that steps under other pokes overwrite
    int32_t n_rows = 0, n_rows_kept = 0;  // in the cache; of them before those in `rows`
    bool rows_are_there = true, ran = false, chose = false;
  };
  void begin_change();
  void keep_change();
  void undo_change();
  template <typename Call>
  const StepRecord& as_one_change(Call call);
  void save_rows_from(int32_t step);
  void restore_rows();
  void count_rows(int32_t n);

  // advance, go_to and set_pokes, between begin_change and keep_change or undo_change.
  void take_step(int32_t forced);
  void repeat_step(int32_t step);
  void change_pokes(std::vector<Poke> pokes);

  void run_through(int32_t step);
  void run_step(int32_t step);
  void stop_if_asked() const;
  void require_valid(const Poke& poke) const;
  int32_t first_step_changed_by(const Poke& poke) const;
  int32_t first_step_changed(const std::vector<Poke>& before, const std::vector<Poke>& after) const;
  void forget_rows_from(int32_t step);

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  std::unique_ptr<Backend> backend_;
  struct Decorators;  // counting over poking over tracing over the backend
  std::unique_ptr<Decorators> stack_;
  Decoder decoder_;
  Workspace workspace_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<KvStorage> storage_;
  Sampler sampler_;
  std::vector<int32_t> tokens_;  // [prompt_len + last_step]
  std::vector<float> logits_;    // [vocab_size]
  std::vector<float>
      fresh_logits_;  // [vocab_size], of the step that is running; between calls of the last one
  std::vector<Poke> pokes_;
  std::vector<PokeReport> reports_;  // of pokes_, in the current step
  StepRecord record_;
  int32_t prompt_len_ = 0, step_ = -1, next_token_ = -1;
  bool rows_are_there_ = true;  // the stored rows are those of the current step
  Before before_;
};

}  // namespace lastrow
