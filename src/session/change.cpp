// Each call of a session is one change: made whole, or undone.
#include <algorithm>
#include <exception>
#include <utility>

#include "session/decorators.h"

namespace lastrow {

template <typename Call>
const StepRecord& DecodeSession::as_one_change(Call call) {
  begin_change();
  try {
    call();
  } catch (...) {
    undo_change();
    throw;
  }
  keep_change();
  return record_;
}

const StepRecord& DecodeSession::advance(int32_t forced) {
  return as_one_change([&] { take_step(forced); });
}

const StepRecord& DecodeSession::go_to(int32_t step) {
  return as_one_change([&] { repeat_step(step); });
}

void DecodeSession::set_pokes(std::vector<Poke> pokes) {
  as_one_change([&] { change_pokes(std::move(pokes)); });
}

/// Touches the heap only where there are pokes or a recorder.
void DecodeSession::begin_change() {
  before_.step = step_;
  before_.next_token = next_token_;
  before_.record = record_;
  before_.tokens.assign(tokens_.begin(), tokens_.end());
  before_.pokes.assign(pokes_.begin(), pokes_.end());
  before_.reports.assign(reports_.begin(), reports_.end());
  before_.n_rows = before_.n_rows_kept = cache_->length(0);
  before_.rows_are_there = rows_are_there_;
  before_.ran = before_.chose = false;
  if (stack_->recorder) stack_->recorder->hold();
}

void DecodeSession::keep_change() {
  before_.rows.clear();
  if (stack_->recorder) stack_->recorder->let_go();
}

void DecodeSession::undo_change() {
  step_ = before_.step;
  next_token_ = before_.next_token;
  record_ = before_.record;
  std::swap(tokens_, before_.tokens);
  std::swap(pokes_, before_.pokes);
  std::swap(reports_, before_.reports);
  stack_->poking.set_pokes(pokes_);
  if (before_.chose) std::swap(logits_, fresh_logits_);
  if (stack_->recorder) stack_->recorder->take_back();
  restore_rows();
  before_.rows.clear();
}

/// Copies out the rows that `step` and later ones have put into the cache. What a step stores is the same to
/// the last bit whenever it is run under the same pokes, so this is needed only before pokes change.
void DecodeSession::save_rows_from(int32_t step) {
  if (options_.mode == Mode::recompute) return;
  before_.n_rows_kept = std::min(before_.n_rows, step <= 0 ? 0 : n_tokens_at(step - 1));
  std::vector<int64_t> slots;
  for (int32_t index = before_.n_rows_kept; index < before_.n_rows; ++index)
    slots.push_back(cache_->slot(0, index));
  before_.rows.save(*backend_, *storage_, std::move(slots));
}

void DecodeSession::restore_rows() {
  rows_are_there_ = before_.rows_are_there;
  if (options_.mode == Mode::recompute) {
    if (before_.ran) rows_are_there_ = false;
  } else if (before_.ran) {
    try {
      before_.rows.write_back(*backend_, *storage_);
    } catch (const std::exception&) {  // the call has failed already; its own error is the one to report
      rows_are_there_ = false;
      return count_rows(before_.n_rows_kept);  // the next call runs the other steps again
    }
  }
  count_rows(before_.n_rows);
}

/// Makes the cache hold the first n rows of tokens_, which are in storage.
void DecodeSession::count_rows(int32_t n) {
  const int32_t held = cache_->length(0);
  if (held > n) return cache_->truncate(0, n);
  const SequenceInput rest{
      0, std::span<const int32_t>(tokens_).subspan(static_cast<size_t>(held), static_cast<size_t>(n - held)),
      LogitRows::none};
  cache_->commit(cache_->plan({&rest, 1}));
}

}  // namespace lastrow
