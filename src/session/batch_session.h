// Several text generations that step together, in one packed forward (continuous batching). They join and
// leave between steps.
//
//   BatchSession batch(model, std::move(backend), {.max_seqs = 4, .cache = cache_options("paged:block=16")});
//   for (const std::string& text : prompts)
//     batch.add(model->tokenizer().encode(text), 20);            id 0, 1, 2, …; nothing has run yet
//   while (const BatchStep* step = batch.advance())              one forward for all that run
//     for (const SequenceStep& s : step->sequences)
//       if (s.leaves) show(batch.generation(s.generation));      its tokens, times and counts
//   int32_t branch = batch.fork(0);                              generation 0 goes on twice …
//   batch.force(branch, token);                                  … and its branch with another token
//   batch.go_to(3);  batch.set_pokes(pokes);                     runs the recorded steps again, same tokens
//
// * A step feeds the whole prompts of the generations that join, and one token of each other generation. The
//   tokens are packed one after the other. Nothing is padded.
// * If the cache uses new positions, or K is int8-channel, a step feeds at most one token, or one block, of each
//   prompt. So a generation may read its prompt for several steps before it chooses a token.
// * Generations join in the order of add(). The first one that waits joins if three things are true: a
//   sequence is free; the cache has room for it and for all that run, each at its longest; its prompt fits
//   in the step (BatchOptions::max_step_tokens). So a generation that runs always finds room for its next
//   row. The room is counted as if no blocks were shared.
// * With CacheOptions::share_prefix, a generation waits one step if its prompt begins like a prompt that
//   joins in this step. Then it finds those rows in the cache and feeds only the rest of its prompt.
// * A generation leaves after the step that chose its last token. That token is not fed.
// * A generation's tokens depend only on its prompt, its seed and the model, not on the others in the batch.
//   Rounding may differ with the composition of the batch, except on the backend naive.
// * A call that throws changes nothing. There is one exception: if advance() fails, rows of *finished*
//   generations that were kept for a shared prefix may be lost, because the step had begun to overwrite them.
//   Then a later prompt may find fewer of its tokens in the cache.
// * While *BatchOptions::stop is true, advance(), go_to() and set_pokes() throw Cancelled within
//   milliseconds, as in DecodeSession.
// * go_to() and set_pokes() run the recorded steps again from step 0, in new K/V storage. So while they run,
//   there are two storages in memory. Only go_to() to the next step continues in the same storage.
// * A step in which nothing joins goes through Backend::replay, with the exceptions of DecodeSession.
//
// Invariant: either current_step() == −1 (nothing has run), or step(), generation(), recorder(),
// poke_report() and the stored rows are those of that step, computed by the backend in this run under the
// current pokes.
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
#include "session/generation.h"
#include "trace/attend_hook.h"
#include "trace/poke.h"
#include "trace/recorder.h"

namespace lastrow {

struct Decorators;  // decorators.h

struct BatchOptions {
  SamplingOptions sampling{};
  int32_t max_seqs = 8;     // generations that can run at the same time
  int32_t max_seq_len = 0;  // of each generation; 0: the model's context; as in SessionOptions
  // The most tokens of one step. 0: max_seq_len + max_seqs. Not used if prompts are fed in chunks (chunk_of_prompts)
  int32_t max_step_tokens = 0;
  int32_t max_prompt_len = 0;  // 0: max_seq_len. A cache that forgets rows needs room for the longest prompt
  CacheOptions cache{};
  std::optional<RecordOptions> record{};    // what recorder() keeps; without it nothing is traced
  AttendHook::Function on_attend{};         // is called after each attend; see trace/attend_hook.h
  const std::atomic<bool>* stop = nullptr;  // may be set from any thread; must outlive the session
};

class BatchSession {
 public:
  BatchSession(std::shared_ptr<const Model> model, std::unique_ptr<Backend> backend, BatchOptions options);
  ~BatchSession();
  BatchSession(const BatchSession&) = delete;
  BatchSession& operator=(const BatchSession&) = delete;

  /// Lets a generation of n_tokens ≥ 1 tokens wait, and returns its id. Without a seed it gets that of the
  /// options. Throws UsageError for an empty prompt or a token outside the vocabulary, CapacityError if it
  /// could not run even alone.
  int32_t add(std::vector<int32_t> prompt, int32_t n_tokens, std::optional<uint64_t> seed = {});
  /// Branches a running generation, and returns the branch's id. Both share their rows until one writes.
  /// With the same seed, both choose the same tokens until force(). Throws UsageError if the generation does
  /// not run or if the cache cannot share rows, CapacityError if no sequence is free or the cache has no
  /// room for it.
  int32_t fork(int32_t id, std::optional<uint64_t> seed = {});
  /// Replaces the token that a running generation chose last, so the next step feeds this one. Throws UsageError if
  /// it has not chosen any.
  void force(int32_t id, int32_t token);

  /// Runs the next step. Returns nullptr, and does nothing, if no generation is left. From an earlier step,
  /// it runs the recorded next step. The pointer is valid until the next call that changes the session.
  const BatchStep* advance();
  /// Runs the recorded steps up to `step` again; 0 ≤ step ≤ last_step(). fork() and force() are refused
  /// until the session is at its last step again.
  const BatchStep& go_to(int32_t step);
  /// Replaces the pokes, and runs all steps up to the current one again. Poke::sequence is a generation's
  /// id. Throws UsageError for a poke of a row that no generation has fed, and for a `since` poke of a row
  /// that its generation did not compute itself (a shared prefix, or rows from before a fork).
  void set_pokes(std::vector<Poke> pokes);
  std::span<const Poke> pokes() const { return pokes_; }
  const PokeReport& poke_report(size_t i) const;

  const Model& model() const { return *model_; }
  BackendInfo backend_info() const;
  int32_t max_seq_len() const;
  int32_t current_step() const;
  int32_t last_step() const;
  /// The current step. Call it only if current_step() ≥ 0.
  const BatchStep& step() const;
  /// Ids count from 0. Throws UsageError for an unknown one.
  const Generation& generation(int32_t id) const;
  int32_t n_generations() const;
  int32_t n_waiting() const;
  int32_t n_running() const;

  const KvCache& cache() const;
  /// The bytes that were allocated for K and V.
  int64_t storage_bytes() const;
  /// The bytes of K and V of one token in all layers, as they are stored.
  int64_t token_bytes() const;
  /// A copy of a stored row of a running generation, all K/V heads: [1, n_kv_heads, head_dim], f32, on the
  /// host.
  Tensor stored_row(int32_t id, int32_t layer, RowKind kind, int32_t index) const;
  /// What the steps did. Sequences are numbered as in BatchStep::sequences. Only with BatchOptions::record.
  const Recorder& recorder() const;

 private:
  struct Live;      // batch_live.h: all that steps change
  struct Schedule;  // batch_schedule.h: what the steps fed, and to whom
  class Steps;      // batch_steps.h

  template <typename Call>
  void change(Call call);
  std::unique_ptr<Live> repeated(int32_t step);
  void require_last_step(const char* call) const;
  Generation& running(int32_t id, const char* call);
  int32_t n_spare_blocks() const;
  /// The most tokens of a prompt that a step feeds; 0: any number.
  int32_t prompt_chunk() const;
  void require_valid(const Poke& poke) const;

  std::shared_ptr<const Model> model_;
  BatchOptions options_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Decorators> stack_;
  Decoder decoder_;
  Workspace workspace_;
  Sampler sampler_;
  std::vector<Poke> pokes_;
  std::unique_ptr<Schedule> schedule_;
  std::unique_ptr<Live> live_;
  std::unique_ptr<Steps> steps_;
};

}  // namespace lastrow
