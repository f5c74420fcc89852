// One call that changes a session. It either succeeds as a whole or changes nothing.
//
//   DecodeSession::Transaction change(session);   remembers the session as it is
//   change.advance();                             or go_to, set_pokes, load: exactly one call
//   change.keep();                                without this, the destructor undoes the call
//
// DecodeSession::advance, go_to, set_pokes and start_from each use one transaction. To change two sessions
// together, open one for each, make both calls, then keep both (twin.cpp).
//
// * A session can have only one open transaction. Do not call start() while it is open.
// * Steps run only in a transaction.
//
// To undo a call, the destructor restores the SessionState, the pokes in force, the cache's bookkeeping, and
// the rows that were overwritten. A Recorder::Transaction restores the recorder.
//
// Which rows must be saved? A step that runs again under the same pokes stores the same bits in the same
// slots: KvCache::truncate promises the slots, and run_step checks them. So go_to and advance save nothing.
// set_pokes and load store other bits, so they first copy the rows that they may overwrite.
//
// A cache that forgets rows gives their slots to later rows. One new step overwrites only rows that were
// forgotten before it, so advance saves nothing. But a call that goes back, or runs several steps, may
// overwrite a slot that held a row when the call began. Such a call first copies all rows that the cache
// holds. These are at most as many as the cache has slots. A cache that seals blocks of K (cache/sealing.h) does the
// same, because a sealed block does not get its rows in f32 back.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "session/saved_rows.h"
#include "session/session.h"

namespace lastrow {

/// The session as it was before a transaction. The session keeps it between transactions, to reuse its
/// memory.
struct DecodeSession::Backup {
  SessionState state;
  std::unique_ptr<KvCache> cache;
  SavedRows rows;                    // rows that steps under other pokes overwrite
  std::vector<int32_t> open_blocks;  // OpenBlocks::numbers
};

class DecodeSession::Transaction {
 public:
  explicit Transaction(DecodeSession& session);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  /// The same as the session's own calls.
  void advance(int32_t forced = -1);
  void advance(std::span<const int32_t> tokens);
  void go_to(int32_t step);
  void set_pokes(std::vector<Poke> pokes);
  /// Begins a new text whose first rows are loaded; start_from has checked that they fit.
  void load(const SavedCache& saved, std::span<const int32_t> prompt);

  void keep();

 private:
  // transaction.cpp
  void undo();
  void restore_rows();
  void save_forgotten_rows();
  void save_held_rows();
  void require_first_call();

  // warm_start.cpp
  void write_loaded_rows(std::span<const int64_t> slots, int32_t layer, RowKind kind, ConstTensorView rows);

  // steps.cpp
  void require_finished_prompt() const;
  void take_step(std::span<const int32_t> tokens, Phase phase);
  void run_through(int32_t step);
  void run_step(int32_t step);
  const StepPlan& feed(std::span<const int32_t> tokens, LogitRows logits, Phase phase);
  void forward(const StepPlan& plan, Phase phase);
  StepRecord step_record(const StepPlan& plan, Phase phase, double wall_us, const CacheUsage& before) const;
  void require_same_slots(const StepPlan& plan) const;
  void require_not_stopped() const;
  void require_valid(const Poke& poke) const;
  int32_t first_step_changed_by(const Poke& poke) const;
  int32_t first_step_changed(const std::vector<Poke>& before, const std::vector<Poke>& after) const;
  void forget_rows_from(int32_t step);
  bool can_begin(int32_t step) const;

  DecodeSession& session_;
  SessionState& state_;  // the session's
  std::unique_ptr<Backup> before_;
  std::optional<Recorder::Transaction> recording_;
  int32_t n_tokens_kept_ = 0;  // the rows of this many tokens were still held when rows were saved
  bool has_called_ = false, has_run_ = false, is_kept_ = false, has_saved_ = false;
};

}  // namespace lastrow
