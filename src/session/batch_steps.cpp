#include "session/batch_steps.h"

#include <algorithm>

#include "session/decorators.h"
#include "session/forward_step.h"

namespace lastrow {

BatchSession::Steps::Steps(BatchSession& session) : session_(session) {
  const auto max_seqs = static_cast<size_t>(session.options_.max_seqs);
  entries_.reserve(max_seqs);
  inputs_.reserve(max_seqs);
  names_.reserve(max_seqs);
  taken_.resize(max_seqs);
  next_tokens_.resize(max_seqs);
  logits_.resize(max_seqs * static_cast<size_t>(session.model_->config().vocab_size));
}

void BatchSession::Steps::take(Live& live) {
  const Clock::time_point start = Clock::now();
  live.before->copy_from(*live.cache);
  try {
    admit(live);
    run(live, start);
  } catch (...) {
    undo(live);
    throw;
  }
  note_times(live, start);
  record_in_schedule(live);
  leave_and_fork(live);
}

void BatchSession::Steps::repeat(Live& live) {
  const Clock::time_point start = Clock::now();
  live.before->copy_from(*live.cache);
  try {
    const std::span<const Entry> recorded = session_.schedule_->step(live.step + 1);
    entries_.assign(recorded.begin(), recorded.end());
    join_again(live);
    run(live, start);
  } catch (...) {
    undo(live);
    throw;
  }
  leave_and_fork(live);
}

void BatchSession::Steps::finish(Live& live) const {
  if (live.step + 1 < session_.schedule_->n_steps()) return;
  for (const int32_t id : live.running) {
    const std::vector<int32_t>& inputs = session_.schedule_->inputs[static_cast<size_t>(id)];
    Generation& g = live.at(id);
    if (!g.tokens.empty() && inputs.size() == g.prompt.size() + g.tokens.size())
      g.tokens.back() = inputs.back();
  }
}

/// Runs the step of entries_. If it throws, the plan is aborted, and only the joins are left to undo.
void BatchSession::Steps::run(Live& live, Clock::time_point start) {
  LASTROW_CHECK(!entries_.empty(), "step {} of a batch feeds nothing", live.step + 1);
  for (const Entry& entry : entries_)
    if (entry.joins) live.make_room(live.at(entry.generation));
  set_inputs(live);
  session_.stack_->set_step(live.step + 1, names_);
  const StepPlan& plan = live.cache->plan(inputs_);
  try {
    forward(plan, live);
  } catch (...) {
    live.cache->abort(plan);
    throw;
  }
  live.cache->commit(plan);
  if (session_.stack_->recorder) session_.stack_->recorder->add_evicted(live.cache->evicted());
  ++live.step;
  for (size_t i = 0; i < entries_.size(); ++i) choose(live, entries_[i], i);
  const std::chrono::duration<double, std::micro> wall = Clock::now() - start;
  record(live, plan, wall.count());
}

void BatchSession::Steps::set_inputs(const Live& live) {
  inputs_.clear();
  names_.clear();
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    const Generation& g = live.at(entry.generation);
    const std::vector<int32_t>& inputs = session_.schedule_->inputs[static_cast<size_t>(g.id)];
    const auto n_seen = static_cast<size_t>(live.cache->n_seen(entry.sequence));
    std::span<const int32_t> tokens;
    if (n_seen < g.prompt.size()) {
      const auto n = static_cast<size_t>(n_to_feed(g, static_cast<int32_t>(n_seen)));
      tokens = std::span(g.prompt).subspan(n_seen, n);
    } else {
      next_tokens_[i] = n_seen < inputs.size() ? inputs[n_seen] : g.tokens.back();
      tokens = {&next_tokens_[i], 1};
    }
    inputs_.push_back({entry.sequence, tokens, LogitRows::last});
    names_.push_back(g.id);
  }
}

void BatchSession::Steps::forward(const StepPlan& plan, Live& live) {
  {
    const StopScope scope(session_.options_.stop);
    stop_if_asked();
  }
  const ForwardStep step{session_.stack_->top(), session_.decoder_, session_.workspace_,
                         session_.options_.stop};
  step.run(plan, *live.storage, std::ranges::none_of(entries_, &Entry::joins), logits_);
  step.add_mass(plan, *live.cache);
}

/// Takes back the joins of a step that failed. Cached blocks that it had begun to overwrite stay lost: the
/// cache knows which ones.
void BatchSession::Steps::undo(Live& live) const {
  for (const Entry& entry : entries_)
    if (entry.joins) live.at(entry.generation).logits.clear();
  live.cache->copy_from(*live.before);
}

}  // namespace lastrow
