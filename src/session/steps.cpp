// The calls of a transaction. They decide which steps to run, and run them one by one.
#include <algorithm>
#include <chrono>
#include <utility>

#include "session/argument_checks.h"
#include "session/counted_step.h"
#include "session/decorators.h"
#include "session/forward_step.h"
#include "session/session_cache.h"
#include "session/transaction.h"

namespace lastrow {

void DecodeSession::Transaction::advance(int32_t forced) {
  require_first_call();
  LASTROW_CHECK(state_.prompt_len > 0, "advance() before start()");
  const int32_t n_tokens = session_.n_tokens_at(state_.step), n_left = state_.prompt_len - n_tokens;
  if (n_left > 0) {
    if (forced >= 0) require_finished_prompt();
    const int32_t chunk = session_.options_.chunk;
    const auto q_len = static_cast<size_t>(chunk == 0 ? n_left : std::min(chunk, n_left));
    take_step(std::span<const int32_t>(state_.tokens()).subspan(static_cast<size_t>(n_tokens), q_len),
              Phase::prefill);
  } else {
    if (session_.context_full())
      throw CapacityError(
          "{} of {} tokens is full, and the text so far is kept: start again with a shorter prompt{}",
          limit_of_text(session_.options_.cache), session_.max_seq_len(),
          uses_new_positions(session_.options_.cache) ? ", or make the session for a longer text" : "");
    const int32_t token = forced >= 0 ? forced : state_.next_token;
    require_in_vocabulary({&token, 1}, session_.model_->config());
    take_step({&token, 1}, Phase::decode);
  }
}

void DecodeSession::Transaction::advance(std::span<const int32_t> tokens) {
  require_first_call();
  LASTROW_CHECK(state_.prompt_len > 0, "advance() before start()");
  require_finished_prompt();
  if (tokens.empty()) throw UsageError("a step of no tokens: give at least one");
  require_in_vocabulary(tokens, session_.model_->config());
  const int32_t room = session_.max_seq_len() - session_.n_tokens_at(state_.step);
  if (static_cast<int64_t>(tokens.size()) > room)
    throw CapacityError("{} more tokens do not fit: {} of {} has room for {}, and the text so far is kept",
                        tokens.size(), limit_of_text(session_.options_.cache), session_.max_seq_len(), room);
  const int32_t chunk = session_.options_.chunk;  // on both sides of a twin
  if (limits_steps(session_.options_.cache) && static_cast<int64_t>(tokens.size()) > chunk)
    throw CapacityError(
        "a step of {} tokens, but the cache has room for {} at once: give them in several calls{}",
        tokens.size(), chunk,
        uses_new_positions(session_.options_.cache)
            ? ""
            : fmt::format(", or make the session with chunk {}", tokens.size()));
  const std::vector<int32_t> own(tokens.begin(), tokens.end());  // `tokens` may be a part of state_.tokens()
  take_step(own, Phase::prefill);
}

void DecodeSession::Transaction::require_finished_prompt() const {
  const int32_t n_tokens = session_.n_tokens_at(state_.step);
  if (n_tokens < state_.prompt_len)
    throw UsageError("{} of the {} tokens of the prompt are not computed yet: call advance() first",
                     state_.prompt_len - n_tokens, state_.prompt_len);
}

/// Runs the step that feeds these tokens next. If it is not the one that was taken before, the later steps
/// belong to another text and are forgotten. `tokens` may be a part of state_.tokens(), at its place.
void DecodeSession::Transaction::take_step(std::span<const int32_t> tokens, Phase phase) {
  const int32_t next = state_.step + 1, n_known = session_.n_tokens_at(state_.step),
                end = n_known + static_cast<int32_t>(tokens.size());
  const auto is_known = [&] {
    return next <= session_.last_step() && session_.n_tokens_at(next) == end &&
           session_.phase_of(next) == phase &&
           std::equal(tokens.begin(), tokens.end(), state_.tokens().begin() + n_known);
  };
  if (!is_known()) state_.set_step(next, n_known, tokens, phase);
  run_through(next);
}

void DecodeSession::Transaction::go_to(int32_t step) {
  require_first_call();
  if (session_.last_step() < 0) throw UsageError("step {}: no step has been taken, so advance() first", step);
  if (step < 0 || step > session_.last_step())
    throw UsageError("step {} has not been taken: choose 0 to {}, or advance()", step, session_.last_step());
  run_through(step);
}

void DecodeSession::Transaction::set_pokes(std::vector<Poke> pokes) {
  require_first_call();
  for (const Poke& poke : pokes) require_valid(poke);
  forget_rows_from(first_step_changed(state_.pokes, pokes));
  save_forgotten_rows();
  state_.pokes = std::move(pokes);
  state_.reports.assign(state_.pokes.size(), {});
  session_.stack_->poking.set_pokes(state_.pokes);
  if (state_.step >= 0) run_through(state_.step);
}

void DecodeSession::Transaction::require_valid(const Poke& poke) const {
  require_in_model(poke, session_.model_->config());
  const auto n_tokens = static_cast<int32_t>(state_.tokens().size());
  if (poke.position < 0 || poke.position >= n_tokens)
    throw UsageError("poke of position {}: the text has positions 0 to {}", poke.position, n_tokens - 1);
  if (poke.when == Poke::When::since && poke.position < state_.n_loaded)
    throw UsageError(
        "poke of position {} since it was computed: its row was loaded, not computed here. Poke it now, or "
        "start with the whole text as the prompt",
        poke.position);
}

/// The first step that the poke changes. If it changes none, the number of steps taken.
int32_t DecodeSession::Transaction::first_step_changed_by(const Poke& poke) const {
  if (poke.when == Poke::When::now) return std::max(poke.step, 0);
  // The step that feeds this position: the first whose last position is not before it.
  const auto step = std::ranges::lower_bound(state_.steps(), poke.position, {}, &TakenStep::last_position);
  return static_cast<int32_t>(step - state_.steps().begin());
}

/// The first step whose result may differ between the two sets of pokes.
int32_t DecodeSession::Transaction::first_step_changed(const std::vector<Poke>& before,
                                                       const std::vector<Poke>& after) const {
  int32_t first = session_.last_step() + 1;
  const auto mark_those_not_in = [&](const std::vector<Poke>& others, const std::vector<Poke>& pokes) {
    for (const Poke& poke : pokes)
      if (std::ranges::find(others, poke) == others.end())
        first = std::min(first, first_step_changed_by(poke));
  };
  mark_those_not_in(after, before);
  mark_those_not_in(before, after);
  return first;
}

/// Forgets the K and V rows that `step` and later steps appended to the cache. A cache that cannot go back to
/// the state before them forgets all rows.
void DecodeSession::Transaction::forget_rows_from(int32_t step) {
  const int32_t n = std::min(session_.cache_->n_seen(0), session_.n_tokens_at(step - 1));
  session_.cache_->truncate(0, session_.cache_->can_truncate(0, n) ? n : 0);
}

/// Whether the cache can be brought to the state before `step` without running any step.
bool DecodeSession::Transaction::can_begin(int32_t step) const {
  const int32_t n = session_.n_tokens_at(step - 1);
  return session_.cache_->n_seen(0) >= n && session_.cache_->can_truncate(0, n);
}

void DecodeSession::Transaction::require_not_stopped() const {
  const StopScope scope(session_.options_.stop);
  stop_if_asked();
}

/// Runs `step`. With the cache, it first runs the earlier steps whose rows are missing. A cache that forgets
/// or rounds rows may have to begin with step 0.
void DecodeSession::Transaction::run_through(int32_t step) {
  require_not_stopped();
  int32_t first = step;
  if (session_.mode() == Mode::cached)
    while (first > 0 && !can_begin(first)) --first;
  // One step behind the last token overwrites only rows that the cache has forgotten. Others overwrite more.
  if (first < step || session_.cache_->n_seen(0) > session_.n_tokens_at(first - 1)) save_held_rows();
  for (int32_t i = first; i <= step; ++i) run_step(i);
  state_.step = step;
  state_.next_token = session_.sampler_.choose(state_.logits, session_.cache_->n_seen(0));
  state_.rows_are_stored = true;
}

/// Runs one step. With the cache, it feeds the step's own tokens; without it, the whole prefix.
void DecodeSession::Transaction::run_step(int32_t step) {
  has_run_ = true;
  KvCache& cache = *session_.cache_;
  const bool cached = session_.mode() == Mode::cached;
  cache.truncate(0, cached ? std::min(cache.n_seen(0), session_.n_tokens_at(step - 1)) : 0);
  const TakenStep& taken = state_.steps()[static_cast<size_t>(step)];
  const int32_t n_past = cache.n_seen(0), n_new = taken.n_tokens - n_past;
  const int32_t most = uses_new_positions(session_.options_.cache) ? 1 : n_new;
  const CacheUsage before = cache.usage();
  session_.stack_->set_step(step);
  state_.reports.assign(state_.pokes.size(), {});
  const auto start = std::chrono::steady_clock::now();
  const StepPlan* plan = nullptr;
  for (int32_t n_fed = 0; n_fed < n_new; n_fed += most) {
    if (n_fed > 0 && session_.stack_->recorder) session_.stack_->recorder->set_step(step);
    plan = &feed(std::span<const int32_t>(state_.tokens())
                     .subspan(static_cast<size_t>(n_past + n_fed), static_cast<size_t>(most)),
                 n_fed + most == n_new ? LogitRows::last : LogitRows::none, taken.phase);
  }
  const std::chrono::duration<double, std::micro> wall = std::chrono::steady_clock::now() - start;
  state_.set_last_position(step, plan->positions.back());
  state_.record = step_record(*plan, taken.phase, wall.count(), before);
  state_.record.q_len = n_new;
}

/// Runs one forward of these tokens, and commits it.
const StepPlan& DecodeSession::Transaction::feed(std::span<const int32_t> tokens, LogitRows logits,
                                                 Phase phase) {
  KvCache& cache = *session_.cache_;
  const SequenceInput sequence{0, tokens, logits};
  const StepPlan& plan = cache.plan({&sequence, 1});
  try {
    if (session_.mode() == Mode::cached && !session_.changes_held_rows()) require_same_slots(plan);
    forward(plan, phase);
  } catch (...) {
    cache.abort(plan);
    throw;
  }
  cache.commit(plan);
  if (session_.stack_->recorder) session_.stack_->recorder->add_evicted(cache.evicted());
  for (size_t i = 0; i < state_.reports.size(); ++i) {
    const PokeReport& report = session_.stack_->poking.report(i);
    state_.reports[i].changed += report.changed;
    state_.reports[i].reads += report.reads;
  }
  return plan;
}

/// undo() relies on it: if a row that was held is stored again, it goes to the slot where it was.
void DecodeSession::Transaction::require_same_slots(const StepPlan& plan) const {
  const KvCache& before = *before_->cache;
  const int32_t first = plan.kv_len[0] - plan.q_len(0);
  for (int32_t t = 0; t < plan.q_len(0) && first + t < before.length(0); ++t)
    LASTROW_CHECK(plan.append_slots[static_cast<size_t>(t)] == before.slot(0, first + t),
                  "index {} was in slot {}, and is now in slot {}", first + t, before.slot(0, first + t),
                  plan.append_slots[static_cast<size_t>(t)]);
}

void DecodeSession::Transaction::forward(const StepPlan& plan, Phase phase) {
  const bool may_replay = session_.mode() == Mode::cached && phase == Phase::decode && plan.n_tokens() == 1;
  const ForwardStep step{session_.stack_->top(), session_.decoder_, session_.workspace_,
                         session_.options_.stop};
  step.run(plan, *session_.storage_, may_replay, state_.logits);
  step.add_mass(plan, *session_.cache_);
}

StepRecord DecodeSession::Transaction::step_record(const StepPlan& plan, Phase phase, double wall_us,
                                                   const CacheUsage& before) const {
  const StepCounts& counts = session_.stack_->counting.counts();
  const bool cached = session_.mode() == Mode::cached;
  // Mode::recompute has no cache: its scratch holds nothing after the step.
  StepRecord record = cached ? counted_step(counts, bytes_held(*session_.cache_, *session_.storage_), before,
                                            session_.cache_->usage())
                             : counted_step(counts, 0, before, {});
  if (!cached) {
    record.kv_scratch_bytes += record.cache_bytes_read + record.cache_bytes_written;
    record.cache_bytes_read = record.cache_bytes_written = record.rows_evicted = 0;
  }
  record.n_saturated = session_.stack_->n_saturated();
  record.position = plan.positions.back();
  record.phase = phase;
  record.kv_len = plan.kv_len[0];
  record.wall_us = wall_us;
  return record;
}

}  // namespace lastrow
