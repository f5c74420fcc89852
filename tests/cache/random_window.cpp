#include "cache/random_window.h"

#include <algorithm>
#include <new>
#include <optional>

#include "attention/mask.h"
#include "cache/allocations.h"
#include "cache/slots.h"
#include "core/error.h"

namespace lastrow::testing {

WindowConfig random_window(Random& random) {
  WindowConfig config;
  config.max_seq_len = static_cast<int32_t>(4 + random.below(50));
  const int32_t block_lens[] = {1, 2, 3, 4, config.max_seq_len};
  config.block_len = std::min(block_lens[random.below(5)], config.max_seq_len);
  config.n_seqs = static_cast<int32_t>(1 + random.below(3));
  config.window = static_cast<int32_t>(1 + random.below(9));
  config.sinks = static_cast<int32_t>(random.below(std::min(6, config.max_seq_len)));
  config.longest_step = static_cast<int32_t>(1 + random.below(6));
  return config;
}

CacheOptions options_of(const WindowConfig& config) {
  return {.kind = "window", .block_len = config.block_len, .window = config.window, .sinks = config.sinks};
}

CacheSizes sizes_of(const WindowConfig& config) {
  return {.n_layers = 1,
          .n_kv_heads = 1,
          .head_dim = 4,
          .max_seq_len = config.max_seq_len,
          .n_seqs = config.n_seqs,
          .longest_step = config.longest_step};
}

namespace {

WindowCache window_of(const WindowConfig& config) {
  const CacheOptions options = options_of(config);
  return {window_spec(options, sizes_of(config)), config.n_seqs, window_rule(options, sizes_of(config))};
}

}  // namespace

RandomWindow::RandomWindow(const WindowConfig& config)
    : config_(config), cache_(window_of(config)), saved_{window_of(config), window_of(config)} {
  state_.sequences.resize(config.n_seqs);
  for (State& saved : saved_states_) saved = state_;
  stored_.resize(static_cast<size_t>(cache_.spec().n_blocks) * config.block_len, 0);
}

/// The definition of the policy: what a query sees.
bool RandomWindow::is_visible(int32_t query, int32_t key) const {
  return key <= query && (key < config_.sinks || key > query - config_.window);
}

/// After n tokens, what the next query will see of them.
std::set<int32_t> RandomWindow::held_after(int32_t n) const {
  std::set<int32_t> held;
  for (int32_t p = 0; p < n; ++p)
    if (is_visible(n, p)) held.insert(p);
  return held;
}

uint64_t RandomWindow::row_of(const Ints& tokens, int32_t position) const {
  uint64_t row = 0;
  for (int32_t p = 0; p <= position; ++p) row = row * 1000003 + static_cast<uint64_t>(tokens[p]) + 1;
  return row;
}

bool RandomWindow::is_too_long(const std::vector<Feed>& feeds) const {
  return std::ranges::any_of(feeds, [&](const Feed& feed) {
    const size_t n = state_.sequences[feed.sequence].tokens.size() + feed.tokens.size();
    return std::cmp_greater(n, config_.max_seq_len) ||
           std::cmp_greater(feed.tokens.size(), config_.longest_step);
  });
}

/// The keys of one input: where they are, their positions, and which of them each query sees.
void RandomWindow::check_keys(const StepPlan& plan, int32_t i, const Feed& feed) const {
  Ints text = state_.sequences[feed.sequence].tokens;
  const auto begin = static_cast<int32_t>(text.size());
  text.insert(text.end(), feed.tokens.begin(), feed.tokens.end());
  std::vector<uint64_t> stored = stored_;
  for (int32_t t = 0; t < plan.q_len(i); ++t)
    stored[plan.append_slots[plan.q_start[i] + t]] = row_of(text, begin + t);
  const int32_t* positions = plan.key_positions.data() + i * plan.keys_per_seq();
  for (int32_t s = 0; s < plan.kv_len[i]; ++s) {
    const int64_t slot = slot_of(block_table(plan, i), s);
    require(stored[slot] == row_of(text, positions[s]),
            "a slot of a plan does not hold the row of its position");
    require(
        s < cache_.length(feed.sequence)
            ? slot == cache_.slot(feed.sequence, s) && positions[s] == cache_.position_of(feed.sequence, s)
            : slot == plan.append_slots[plan.q_start[i] + s - cache_.length(feed.sequence)],
        "the plan and the cache disagree about an index");
  }
  const MaskRule mask{.window = plan.window, .sinks = plan.window_sinks};
  for (int32_t t = 0; t < plan.q_len(i); ++t) {
    const VisibleKeys keys = visible_keys(mask, plan.q_len(i), plan.kv_len[i], t);
    std::set<int32_t> seen, expected;
    for (int32_t n = 0; n < keys.count(); ++n) seen.insert(positions[keys.index(n)]);
    for (int32_t p = 0; p <= begin + t; ++p)
      if (is_visible(begin + t, p)) expected.insert(p);
    require(seen == expected, "a query sees other positions than the policy says");
  }
}

void RandomWindow::check(const StepPlan& plan, const std::vector<Feed>& feeds) const {
  require(plan.n_seqs() == static_cast<int32_t>(feeds.size()), "the plan has another number of sequences");
  require(plan.block_copies.empty(), "a ring copies no blocks");
  std::set<int64_t> slots(plan.append_slots.begin(), plan.append_slots.end());
  require(slots.size() == plan.append_slots.size(), "two tokens of a step have one slot");
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    const Sequence& sequence = state_.sequences[feeds[i].sequence];
    const auto q_len = static_cast<int32_t>(feeds[i].tokens.size());
    require(plan.q_len(i) == q_len && plan.kv_len[i] == static_cast<int32_t>(sequence.held.size()) + q_len,
            "the plan has wrong lengths");
    for (int32_t t = 0; t < q_len; ++t) {
      const int32_t at = plan.q_start[i] + t;
      require(plan.tokens[at] == feeds[i].tokens[t], "the plan has wrong tokens");
      require(plan.positions[at] == static_cast<int32_t>(sequence.tokens.size()) + t,
              "the plan has wrong positions");
    }
    check_keys(plan, i, feeds[i]);
  }
}

void RandomWindow::step(const std::vector<Feed>& feeds, bool commit, uint32_t fail) {
  std::vector<SequenceInput> inputs;
  for (const Feed& feed : feeds) inputs.push_back({feed.sequence, feed.tokens, LogitRows::last});
  const StepPlan* plan = nullptr;
  try {
    std::optional<FailingAllocation> failing;
    if (fail > 0) failing.emplace(fail);
    plan = &cache_.plan(inputs);
  } catch (const CapacityError&) {
    require(is_too_long(feeds), "a step was refused that fits");
    ++n_refused_;
    return;
  } catch (const std::bad_alloc&) {
    ++n_failed_allocations_;
    return;
  }
  require(!is_too_long(feeds), "a step was planned that is too long");
  check(*plan, feeds);
  for (int32_t i = 0; i < plan->n_seqs(); ++i) {
    Sequence& sequence = state_.sequences[feeds[i].sequence];
    Ints text = sequence.tokens;
    const auto begin = static_cast<int32_t>(text.size());
    text.insert(text.end(), feeds[i].tokens.begin(), feeds[i].tokens.end());
    for (int32_t t = 0; t < plan->q_len(i); ++t)  // what an aborted step has written is worth nothing
      stored_[plan->append_slots[plan->q_start[i] + t]] = commit ? row_of(text, begin + t) : 0;
    if (!commit) continue;
    const std::set<int32_t> held = held_after(static_cast<int32_t>(text.size()));
    state_.n_forgotten += static_cast<int64_t>(sequence.held.size() + feeds[i].tokens.size()) -
                          static_cast<int64_t>(held.size());
    sequence = {text, held};
  }
  commit ? cache_.commit(*plan) : cache_.abort(*plan);
}

std::vector<Feed> RandomWindow::feeds_of(const Operation& operation) const {
  std::vector<Feed> feeds;
  const bool all = operation.action == Action::step_all;
  for (int32_t i = 0; i < (all ? config_.n_seqs : 1); ++i) {
    const auto sequence = static_cast<int32_t>((operation.who + static_cast<uint32_t>(i)) %
                                               static_cast<uint32_t>(config_.n_seqs));
    Ints tokens;  // sometimes one token too many
    const auto n =
        static_cast<int32_t>((operation.amount >> i) % static_cast<uint32_t>(config_.longest_step + 2));
    for (int32_t t = 0; t < n; ++t) tokens.push_back(static_cast<int32_t>(operation.tokens >> (t + i) & 3));
    feeds.push_back({sequence, tokens});
  }
  return feeds;
}

void RandomWindow::truncate(const Operation& operation) {
  const auto i = static_cast<int32_t>(operation.who % static_cast<uint32_t>(config_.n_seqs));
  Sequence& sequence = state_.sequences[i];
  const auto n = static_cast<int32_t>(operation.amount % (sequence.tokens.size() + 1));
  const std::set<int32_t> wanted = held_after(n);
  const bool can = std::ranges::includes(sequence.held, wanted);
  require(cache_.can_truncate(i, n) == can, "can_truncate is wrong");
  if (!can) {
    try {
      cache_.truncate(i, n);
    } catch (const UsageError&) {
      ++n_refused_;
      return;
    }
    require(false, "a sequence went back to rows that it has forgotten");
  }
  cache_.truncate(i, n);
  sequence.held = wanted;
  sequence.tokens.resize(n);
}

/// Requests that are wrong whatever the state is.
void RandomWindow::refuse(const Operation& operation) {
  const Ints one{0}, long_step(static_cast<size_t>(config_.longest_step) + 1, 0);
  const SequenceInput known{0, one, LogitRows::last}, unknown{config_.n_seqs, one, LogitRows::last};
  const SequenceInput twice[] = {known, known}, longer{0, long_step, LogitRows::last};
  try {
    switch (operation.amount % 4) {
      case 0:
        cache_.plan({&longer, 1});
        break;
      case 1:
        cache_.plan({&unknown, 1});
        break;
      case 2:
        cache_.plan(twice);
        break;
      default:
        cache_.fork(0, config_.n_seqs - 1);
    }
  } catch (const Error&) {
    ++n_refused_;
    return;
  }
  require(false, "a wrong request was accepted");
}

void RandomWindow::apply(const Operation& operation) {
  const auto place = static_cast<int32_t>(operation.who % kSaved);
  switch (operation.action) {
    case Action::truncate:
      return truncate(operation);
    case Action::reset: {
      const auto i = static_cast<int32_t>(operation.who % static_cast<uint32_t>(config_.n_seqs));
      state_.sequences[i] = {};
      return cache_.reset(i);
    }
    case Action::abort:
      return step(feeds_of(operation), /*commit=*/false, operation.fail);
    case Action::refuse:
      return refuse(operation);
    case Action::save:
      saved_states_[place] = state_;
      return saved_[place].copy_from(cache_);
    case Action::undo:
      state_ = saved_states_[place];
      cache_.copy_from(saved_[place]);
      for (int32_t i = 0; i < config_.n_seqs; ++i)  // the rows are written back, as callers do
        for (int32_t s = 0; s < cache_.length(i); ++s)
          stored_[cache_.slot(i, s)] = row_of(state_.sequences[i].tokens, cache_.position_of(i, s));
      return;
    default:
      return step(feeds_of(operation), /*commit=*/true, operation.fail);
  }
}

void RandomWindow::compare() const {
  CacheUsage expected;
  std::set<int64_t> slots;
  const int32_t blocks_per_seq = cache_.spec().n_blocks / config_.n_seqs;
  for (int32_t i = 0; i < config_.n_seqs; ++i) {
    const auto& [tokens, held] = state_.sequences[i];
    require(cache_.n_seen(i) == static_cast<int32_t>(tokens.size()),
            "a sequence has seen a wrong number of tokens");
    require(cache_.length(i) == static_cast<int32_t>(held.size()), "a sequence has a wrong length");
    int32_t s = 0;
    for (const int32_t position : held) {
      require(cache_.position_of(i, s) == position, "an index has a wrong position");
      require(stored_[cache_.slot(i, s)] == row_of(tokens, position), "a slot holds another row");
      slots.insert(cache_.slot(i, s++));
    }
    expected.rows_held += s;
    if (!tokens.empty()) expected.blocks_used += blocks_per_seq;
  }
  expected.rows_stored = static_cast<int64_t>(slots.size());
  expected.rows_reserved = int64_t{expected.blocks_used} * config_.block_len;
  expected.rows_evicted = state_.n_forgotten;
  expected.blocks_free = cache_.spec().n_blocks - expected.blocks_used;
  require(cache_.usage() == expected, "the usage is wrong");
}

}  // namespace lastrow::testing
