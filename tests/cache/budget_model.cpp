#include "cache/budget_model.h"

#include <algorithm>

#include "cache/cache_model.h"
#include "core/error.h"

namespace lastrow::testing {

namespace {

CacheOptions options_of(const BudgetConfig& config) {
  CacheOptions options;
  options.kind = "budget";
  options.budget = config.budget;
  options.eviction = config.eviction;
  options.sinks = config.sinks;
  options.seed = config.seed;
  return options;
}

CacheSizes sizes_of(const BudgetConfig& config) {
  return {.n_layers = 1,
          .n_kv_heads = 1,
          .head_dim = 2,
          .max_seq_len = config.max_seq_len,
          .n_seqs = config.n_seqs,
          .longest_step = config.longest_step};
}

int32_t slots_per_seq(const BudgetConfig& config) {
  return std::min(config.max_seq_len, config.budget + config.longest_step);
}

}  // namespace

BudgetConfig random_budget_config(Random& random) {
  BudgetConfig config;
  config.eviction = static_cast<Eviction>(random.below(4));
  config.budget = static_cast<int32_t>(1 + random.below(6));
  if (config.eviction == Eviction::sinks) config.sinks = static_cast<int32_t>(random.below(config.budget));
  config.max_seq_len = static_cast<int32_t>(1 + random.below(40));
  config.longest_step = static_cast<int32_t>(1 + random.below(std::min(config.max_seq_len, 8)));
  config.n_seqs = static_cast<int32_t>(1 + random.below(3));
  config.seed = random.next_u32();
  return config;
}

// ---- the model

BudgetModel::BudgetModel(const BudgetConfig& config) : config_(config) {
  for (int32_t sequence = 0; sequence < config.n_seqs; ++sequence) sequences_.push_back(empty(sequence));
}

BudgetModel::Sequence BudgetModel::empty(int32_t sequence) const {
  Sequence result;
  for (int32_t i = 0; i < slots_per_seq(config_); ++i)
    result.free.push_back(int64_t{sequence} * slots_per_seq(config_) + i);
  result.random = Random(config_.seed);
  return result;
}

bool BudgetModel::can_truncate(int32_t sequence, int32_t n_tokens) const {
  if (n_tokens == 0 || n_tokens == n_seen(sequence)) return true;
  return config_.eviction != Eviction::heavy && n_held(sequence) == n_seen(sequence);
}

void BudgetModel::check(const StepPlan& plan, int32_t i, int32_t n) const {
  const Sequence& own = sequences_[plan.sequences[i]];
  const int32_t n_held = static_cast<int32_t>(own.rows.size()), after = n_held + n;
  require(plan.q_len(i) == n && plan.kv_len[i] == after, "the plan has wrong lengths");
  require(plan.keys_per_seq() == slots_per_seq(config_), "the plan has tables of another length");
  const int32_t begin = i * plan.keys_per_seq();
  for (int32_t s = 0; s < plan.keys_per_seq(); ++s) {
    const int32_t slot = plan.block_tables[begin + s], position = plan.key_positions[begin + s];
    if (s < n_held) {
      require(slot == own.rows[s].slot, "a held row is in another slot");
      require(position == own.rows[s].position, "a held row has another position");
    } else if (s < after) {
      const int32_t t = plan.q_start[i] + s - n_held;
      require(slot == own.free[s - n_held], "a new row is not in the free slot that is next");
      require(plan.append_slots[t] == slot, "a token goes to another slot than the table says");
      require(position == own.n_seen + s - n_held,
              "the position of a new row is not the number of its token");
      require(plan.positions[t] == position, "a token has another position than its key");
    } else {
      require(slot == -1 && position == -1, "a table is too long");
    }
  }
}

/// Rows come in the order of their positions, so the oldest row is the first.
size_t BudgetModel::victim(Sequence& sequence) const {
  std::vector<Row>& rows = sequence.rows;
  switch (config_.eviction) {
    case Eviction::oldest:
      return 0;
    case Eviction::sinks: {
      size_t i = 0;
      while (rows[i].position < config_.sinks) ++i;
      return i;
    }
    case Eviction::random:
      return static_cast<size_t>(sequence.random.below(static_cast<int64_t>(rows.size()) - 1));
    case Eviction::heavy: {
      const size_t n_recent = static_cast<size_t>((config_.budget + 1) / 2);
      size_t least = 0;
      for (size_t i = 1; i + n_recent < rows.size(); ++i)
        if (rows[i].mass < rows[least].mass) least = i;
      return least;
    }
  }
  return 0;
}

void BudgetModel::commit(int32_t sequence, int32_t n, const float* mass) {
  Sequence& own = sequences_[sequence];
  for (int32_t t = 0; t < n; ++t) {
    own.rows.push_back({own.n_seen++, own.free.front(), 0});
    own.free.pop_front();
  }
  for (Row& row : own.rows) {
    if (config_.eviction == Eviction::heavy && *mass > 0) row.mass += *mass;
    ++mass;
  }
  while (static_cast<int32_t>(own.rows.size()) > config_.budget) {
    const size_t i = victim(own);
    const Row row = own.rows[i];
    evicted_.push_back({sequence, row.position, row.slot, row.mass});
    own.free.push_front(row.slot);
    own.rows.erase(own.rows.begin() + static_cast<std::ptrdiff_t>(i));
    ++n_evicted_;
  }
}

void BudgetModel::truncate(int32_t sequence, int32_t n_tokens) {
  Sequence& own = sequences_[sequence];
  evicted_.clear();
  if (n_tokens == 0) {
    own = empty(sequence);
    return;
  }
  if (n_tokens == own.n_seen) return;
  while (own.n_seen > n_tokens) {
    own.free.push_front(own.rows.back().slot);
    own.rows.pop_back();
    --own.n_seen;
  }
}

void BudgetModel::undo(const BudgetModel& saved) {
  *this = saved;
  evicted_.clear();
}

void BudgetModel::compare(const BudgetCache& cache) const {
  int64_t n_held_by_all = 0;
  for (int32_t sequence = 0; sequence < config_.n_seqs; ++sequence) {
    require(cache.n_seen(sequence) == n_seen(sequence), "the cache has seen another number of tokens");
    require(cache.length(sequence) == n_held(sequence), "the cache holds another number of rows");
    require(cache.length(sequence) <= config_.budget, "the cache holds more rows than its budget");
    n_held_by_all += n_held(sequence);
    for (int32_t s = 0; s < n_held(sequence); ++s) {
      const Row& row = sequences_[sequence].rows[s];
      require(cache.slot(sequence, s) == row.slot, "a row is in another slot");
      require(cache.position_of(sequence, s) == row.position, "a row has another position");
      require(cache.mass_of(sequence, s) == row.mass, "a row has another mass");
    }
    for (int32_t n = 0; n <= n_seen(sequence); ++n)
      require(cache.can_truncate(sequence, n) == can_truncate(sequence, n),
              "can_truncate says something else");
  }
  require(std::ranges::equal(cache.evicted(), evicted_), "the last commit forgot other rows");
  const CacheUsage usage = cache.usage();
  require(usage.rows_held == n_held_by_all && usage.rows_stored == n_held_by_all &&
              usage.rows_reserved == n_held_by_all && usage.blocks_used == n_held_by_all &&
              usage.rows_evicted == n_evicted_ && usage.blocks_shared == 0 &&
              usage.blocks_used + usage.blocks_free == cache.spec().n_blocks,
          "the usage is another one");
}

// ---- the cache beside it

RandomBudgetCache::RandomBudgetCache(const BudgetConfig& config)
    : config_(config),
      cache_(options_of(config), sizes_of(config)),
      saved_cache_(options_of(config), sizes_of(config)),
      model_(config),
      saved_model_(config) {}

int32_t RandomBudgetCache::room(int32_t sequence) const {
  return std::min(config_.max_seq_len - model_.n_seen(sequence), model_.n_free(sequence));
}

void RandomBudgetCache::step(const std::vector<Feed>& feeds, const BudgetOperation& operation, bool commits) {
  const std::vector<int32_t> tokens(64, 7);
  std::vector<SequenceInput> inputs;
  for (const Feed& feed : feeds)
    inputs.push_back({feed.sequence, std::span(tokens).first(static_cast<size_t>(feed.n)), LogitRows::last});
  const StepPlan& plan = cache_.plan(inputs);
  for (int32_t i = 0; i < plan.n_seqs(); ++i) model_.check(plan, i, feeds[static_cast<size_t>(i)].n);
  Random random(operation.mass);
  std::vector<float> mass(static_cast<size_t>(plan.n_seqs()) * static_cast<size_t>(plan.keys_per_seq()));
  // Few different ones, so that some are equal; some that count as 0.
  for (float& m : mass) m = 0.25f * static_cast<float>(random.below(6)) - 0.25f;
  if (cache_.wants_mass() || operation.who % 3 == 0) cache_.add_mass(plan, mass);
  if (!commits) return cache_.abort(plan);
  model_.begin_commit();
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    model_.commit(plan.sequences[i], plan.q_len(i), mass.data() + i * plan.keys_per_seq());
  cache_.commit(plan);
}

void RandomBudgetCache::truncate(int32_t sequence, int32_t n_tokens) {
  if (model_.can_truncate(sequence, n_tokens)) {
    model_.truncate(sequence, n_tokens);
    cache_.truncate(sequence, n_tokens);
    return;
  }
  require_throws<UsageError>([&] { cache_.truncate(sequence, n_tokens); }, "a forgotten row came back");
  ++n_refused_;
}

void RandomBudgetCache::refuse(int32_t sequence, uint32_t choice) {
  const std::vector<int32_t> tokens(64, 7);
  const auto too_many = static_cast<size_t>(room(sequence)) + 1;
  const SequenceInput longer{sequence, std::span(tokens).first(too_many), LogitRows::last},
      known{sequence, {}, LogitRows::last}, unknown{config_.n_seqs, {}, LogitRows::last},
      twice[] = {known, known};
  ++n_refused_;
  switch (choice % 4) {
    case 0:
      return require_throws<CapacityError>([&] { cache_.plan({&longer, 1}); }, "a step was too long");
    case 1:
      return require_throws<UsageError>([&] { cache_.plan({&unknown, 1}); }, "there is no such sequence");
    case 2:
      return require_throws<UsageError>([&] { cache_.plan(twice); }, "a sequence came twice in a step");
    default:
      return require_throws<UsageError>([&] { cache_.fork(0, sequence); }, "rows were shared");
  }
}

void RandomBudgetCache::apply(const BudgetOperation& operation) {
  const auto sequence = static_cast<int32_t>(operation.who % static_cast<uint32_t>(config_.n_seqs));
  const auto amount = static_cast<int32_t>(operation.amount);
  const auto some = [&](int32_t who, int32_t n) { return Feed{who, std::min(n, room(who))}; };
  std::vector<Feed> all;
  for (int32_t i = 0; i < config_.n_seqs; ++i)
    all.push_back(some((sequence + i) % config_.n_seqs, (amount >> i) % 4));
  switch (operation.action) {
    case BudgetAction::append:
      return step({some(sequence, amount % 3 == 0 ? amount % 9 : 1)}, operation, true);
    case BudgetAction::step_all:
      return step(all, operation, true);
    case BudgetAction::abort:
      return step(all, operation, false);
    case BudgetAction::truncate:
      return truncate(sequence, amount % (model_.n_seen(sequence) + 1));
    case BudgetAction::reset:
      model_.truncate(sequence, 0);
      return cache_.reset(sequence);
    case BudgetAction::refuse:
      return refuse(sequence, operation.amount);
    case BudgetAction::save:
      saved_model_ = model_;
      return saved_cache_.copy_from(cache_);
    case BudgetAction::undo:
      model_.undo(saved_model_);
      return cache_.copy_from(saved_cache_);
  }
}

}  // namespace lastrow::testing
