// What a step of a batch changes after it has run: its record, the generations, and the schedule.
#include <algorithm>

#include "ops/attend.h"
#include "session/batch_steps.h"
#include "session/counted_step.h"
#include "session/decorators.h"

namespace lastrow {

/// Gives a generation its logits and, once its prompt is read, the token chosen from them.
void BatchSession::Steps::choose(Live& live, const Entry& entry, size_t i) {
  Generation& g = live.at(entry.generation);
  if (entry.joins) {
    g.state = Generation::State::running;
    g.sequence = entry.sequence;
    g.n_prefix = entry.n_prefix;
    g.joined_step = live.step;
    live.running.push_back(g.id);
    --live.n_waiting;
    while (live.next_to_join <= g.id) ++live.next_to_join;
  } else if (!g.tokens.empty()) {
    g.tokens.back() = next_tokens_[i];
  }
  const auto vocab_size = g.logits.size();
  std::copy_n(logits_.begin() + static_cast<std::ptrdiff_t>(i * vocab_size), vocab_size, g.logits.begin());
  if (live.cache->n_seen(g.sequence) < static_cast<int32_t>(g.prompt.size())) return;
  g.tokens.push_back(session_.sampler_.choose(g.logits, live.cache->n_seen(g.sequence), g.seed));
}

void BatchSession::Steps::record(Live& live, const StepPlan& plan, double wall_us) {
  BatchStep& r = live.record;
  r.step = live.step;
  r.usage = live.cache->usage();
  r.n_waiting = live.n_waiting;
  r.total = counted_step(session_.stack_->counting.counts(), bytes_held(*live.cache, *live.storage),
                         live.before->usage(), r.usage);
  r.total.n_saturated = session_.stack_->n_saturated();
  r.total.position = *std::ranges::max_element(plan.positions);
  r.total.phase = Phase::decode;
  r.total.q_len = plan.n_tokens();
  r.total.wall_us = wall_us;
  r.sequences.clear();
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    r.sequences.push_back(sequence_step(live, plan, i));
    r.total.kv_len += plan.kv_len[i];
    if (r.sequences.back().phase == Phase::prefill) r.total.phase = Phase::prefill;
  }
  for (size_t i = 0; i < live.reports.size(); ++i) live.reports[i] = session_.stack_->poking.report(i);
}

SequenceStep BatchSession::Steps::sequence_step(const Live& live, const StepPlan& plan, int32_t i) const {
  const ModelConfig& config = session_.model_->config();
  const int32_t q_len = plan.q_len(i), kv_len = plan.kv_len[i];
  const auto row_bytes = [&](RowKind kind) {
    return live.storage->row_format(kind).row_bytes(config.head_dim);
  };
  int64_t n_cells = 0, n_rows = 0;  // in all layers, of one head
  int64_t more_read = 0;            // if K has scales for channels
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const StepPlan& own = plan.of_layer(layer);
    const MaskRule mask = attend_spec(config, layer, own.window, own.window_sinks).mask;
    n_cells += cost::visible_cells(q_len, own.kv_len[i], mask.causal, mask.most_keys());
    n_rows += cost::visible_rows(q_len, own.kv_len[i], mask.causal, mask.most_keys());
    more_read += more_key_bytes(own, i, mask, *live.storage);
  }
  // ScoreMass reads K once more.
  const int64_t mass_bytes = plan.wants_mass ? n_rows * config.n_kv_heads * row_bytes(RowKind::k) : 0;
  const OpCost of_seals = config.n_layers * cost_of_seals(plan, i, *live.storage);
  const int32_t generation = names_[static_cast<size_t>(i)], first_position = plan.positions[plan.q_start[i]];
  const bool reads_prompt = first_position < static_cast<int32_t>(live.at(generation).prompt.size());
  return {.generation = generation,
          .phase = reads_prompt ? Phase::prefill : Phase::decode,
          .position = plan.positions[plan.q_start[i + 1] - 1],
          .q_len = q_len,
          .kv_len = kv_len,
          .score_cells = n_cells * config.n_q_heads,
          .cache_bytes_read = n_rows * config.n_kv_heads * (row_bytes(RowKind::k) + row_bytes(RowKind::v)) +
                              mass_bytes + more_read + of_seals.cache_bytes_read,
          .cache_bytes_written = q_len * live.storage->appended_token_bytes() + of_seals.cache_bytes_written};
}

void BatchSession::Steps::note_times(Live& live, Clock::time_point start) const {
  using Microseconds = std::chrono::duration<double, std::micro>;
  const Clock::time_point end = Clock::now();
  for (const Entry& entry : entries_) {
    Generation& g = live.at(entry.generation);
    const Clock::time_point added = session_.schedule_->added[static_cast<size_t>(g.id)];
    if (entry.joins) g.queued_us = Microseconds(start - added).count();
    if (g.tokens.size() == 1) g.first_token_us = Microseconds(end - added).count() - g.queued_us;
  }
}

void BatchSession::Steps::record_in_schedule(const Live& live) {
  Schedule& schedule = *session_.schedule_;
  schedule.entries.insert(schedule.entries.end(), entries_.begin(), entries_.end());
  schedule.ends.push_back(schedule.entries.size());
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].joins) continue;
    const Generation& g = live.at(entries_[i].generation);
    std::vector<int32_t>& inputs = schedule.inputs[static_cast<size_t>(g.id)];
    if (inputs.size() < g.prompt.size() + g.tokens.size() - 1) inputs.push_back(next_tokens_[i]);
  }
}

void BatchSession::Steps::leave_and_fork(Live& live) const {
  for (SequenceStep& s : live.record.sequences) {
    Generation& g = live.at(s.generation);
    s.leaves = static_cast<int32_t>(g.tokens.size()) == g.n_tokens;
    if (!s.leaves) continue;
    live.cache->reset(g.sequence);
    g.state = Generation::State::done;
    g.sequence = -1;
    g.left_step = live.step;
    std::erase(live.running, g.id);
  }
  for (const Schedule::Fork& fork : session_.schedule_->forks)
    if (fork.after_step == live.step) live.fork(fork.parent, fork.child, fork.sequence);
}

}  // namespace lastrow
