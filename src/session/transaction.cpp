#include "session/transaction.h"

#include <exception>
#include <span>
#include <utility>

#include "session/decorators.h"

namespace lastrow {

/// Allocates nothing, unless there are pokes or a recorder.
DecodeSession::Transaction::Transaction(DecodeSession& session)
    : session_(session), state_(session.state_), before_(std::move(session.backup_)) {
  LASTROW_CHECK(before_ != nullptr, "a transaction while another one is open");
  before_->state.copy_from(state_);
  before_->cache->copy_from(*session_.cache_);
  const std::span<const int32_t> open_blocks = session_.storage_->open_blocks().numbers();
  before_->open_blocks.assign(open_blocks.begin(), open_blocks.end());
  if (session_.stack_->recorder) recording_.emplace(*session_.stack_->recorder);
}

DecodeSession::Transaction::~Transaction() {
  if (!is_kept_) undo();
  before_->rows.clear();
  session_.backup_ = std::move(before_);
}

void DecodeSession::Transaction::keep() {
  if (recording_) recording_->keep();
  is_kept_ = true;
}

void DecodeSession::Transaction::undo() {
  state_.swap_back(before_->state);
  session_.stack_->poking.set_pokes(state_.pokes);
  restore_rows();
}

/// Copies the rows that the cache held at the start and has forgotten since, because steps may overwrite
/// them. Only set_pokes and load need this: under the same pokes, a step stores the same bits again.
void DecodeSession::Transaction::save_forgotten_rows() {
  if (session_.changes_held_rows()) return save_held_rows();
  n_tokens_kept_ = session_.cache_->n_seen(0);
  if (session_.mode() == Mode::recompute) return;
  std::vector<int64_t> slots;
  for (int32_t index = session_.cache_->length(0); index < before_->cache->length(0); ++index)
    slots.push_back(before_->cache->slot(0, index));
  before_->rows.save(*session_.backend_, *session_.storage_, {std::move(slots)});
}

/// Copies all rows that the cache held at the start, if it is one that forgets or rounds held rows: steps may give any
/// of their slots to other rows, or seal their blocks. Does so once.
void DecodeSession::Transaction::save_held_rows() {
  if (!session_.changes_held_rows() || has_saved_) return;
  n_tokens_kept_ = 0;
  SavedRows::SlotsOfGroups slots;
  for (int32_t i = 0; i < before_->cache->spec().n_groups(); ++i) {
    const KvCache& group = before_->cache->group(i);
    for (int32_t index = 0; index < group.length(0); ++index)
      slots[static_cast<size_t>(i)].push_back(group.slot(0, index));
  }
  before_->rows.save(*session_.backend_, *session_.storage_, std::move(slots));
  has_saved_ = true;
}

void DecodeSession::Transaction::restore_rows() {
  session_.cache_->copy_from(*before_->cache);
  if (!has_run_) return;
  session_.storage_->open_blocks().set(before_->open_blocks);
  if (session_.mode() == Mode::recompute) {
    state_.rows_are_stored = false;
    return;
  }
  try {
    before_->rows.write_back(*session_.backend_, *session_.storage_);
  } catch (const std::exception&) {
    // The call has already failed, and the caller should see that error. The cache forgets the lost rows, so
    // the next call runs their steps again.
    state_.rows_are_stored = false;
    session_.cache_->truncate(0, n_tokens_kept_);
  }
}

void DecodeSession::Transaction::require_first_call() {
  LASTROW_CHECK(!has_called_,
                "a second call in one transaction: it could not be undone, use a new transaction");
  has_called_ = true;
}

}  // namespace lastrow
