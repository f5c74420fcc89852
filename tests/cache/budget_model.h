// What a BudgetCache should do, written plainly, and a BudgetCache that does random operations beside it.
//
//   RandomBudgetCache cache(config);
//   cache.apply(operation);      throws std::runtime_error if the cache does what it should not
//   cache.compare();             throws if the cache is not in the state of the model
//
// Any operation is possible in any state, so a list of operations stays valid when some are left out. An
// operation that the cache must refuse is tried, and then the state must be the one before it.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "cache/budget_cache.h"
#include "core/random.h"

namespace lastrow::testing {

struct BudgetConfig {
  Eviction eviction = Eviction::oldest;
  int32_t budget = 3, sinks = 0, max_seq_len = 16, longest_step = 2, n_seqs = 2;
  uint64_t seed = 0;
};

enum class BudgetAction : uint8_t { append, step_all, abort, truncate, reset, refuse, save, undo };
/// One of these, at random: frequent ones stand here several times.
constexpr BudgetAction kBudgetActions[16] = {
    BudgetAction::append,   BudgetAction::append, BudgetAction::append, BudgetAction::append,
    BudgetAction::append,   BudgetAction::append, BudgetAction::append, BudgetAction::step_all,
    BudgetAction::step_all, BudgetAction::abort,  BudgetAction::abort,  BudgetAction::truncate,
    BudgetAction::reset,    BudgetAction::refuse, BudgetAction::save,   BudgetAction::undo};

struct BudgetOperation {
  BudgetAction action = BudgetAction::append;
  uint32_t who = 0;     // the sequence, and other choices
  uint32_t amount = 0;  // how many tokens
  uint32_t mass = 0;    // seed of the mass of the step
};

BudgetConfig random_budget_config(Random& random);

/// Each sequence is a list of rows in the order of their tokens, and a list of free slots.
class BudgetModel {
 public:
  explicit BudgetModel(const BudgetConfig& config);

  int32_t n_seen(int32_t sequence) const { return sequences_[sequence].n_seen; }
  int32_t n_held(int32_t sequence) const { return static_cast<int32_t>(sequences_[sequence].rows.size()); }
  int32_t n_free(int32_t sequence) const { return static_cast<int32_t>(sequences_[sequence].free.size()); }
  bool can_truncate(int32_t sequence, int32_t n_tokens) const;

  /// Throws if input i of this plan is wrong for n new tokens.
  void check(const StepPlan& plan, int32_t i, int32_t n) const;
  void begin_commit() { evicted_.clear(); }
  /// mass [n_held + n]: what each row of the sequence got in the step.
  void commit(int32_t sequence, int32_t n, const float* mass);
  void truncate(int32_t sequence, int32_t n_tokens);
  void undo(const BudgetModel& saved);

  /// Throws unless the cache is in the state of the model.
  void compare(const BudgetCache& cache) const;

 private:
  struct Row {
    int32_t position;
    int64_t slot;
    double mass;
  };
  struct Sequence {
    std::vector<Row> rows;
    std::deque<int64_t> free;  // the next step takes them from the front
    int32_t n_seen = 0;
    Random random{0};
  };
  Sequence empty(int32_t sequence) const;
  size_t victim(Sequence& sequence) const;

  BudgetConfig config_;
  std::vector<Sequence> sequences_;
  std::vector<EvictedRow> evicted_;
  int64_t n_evicted_ = 0;
};

class RandomBudgetCache {
 public:
  explicit RandomBudgetCache(const BudgetConfig& config);

  void apply(const BudgetOperation& operation);
  void compare() const { model_.compare(cache_); }
  int64_t n_evicted() const { return cache_.usage().rows_evicted; }
  int64_t n_refused() const { return n_refused_; }

 private:
  struct Feed {
    int32_t sequence, n;
  };
  int32_t room(int32_t sequence) const;
  void step(const std::vector<Feed>& feeds, const BudgetOperation& operation, bool commits);
  void truncate(int32_t sequence, int32_t n_tokens);
  void refuse(int32_t sequence, uint32_t choice);

  BudgetConfig config_;
  BudgetCache cache_, saved_cache_;
  BudgetModel model_, saved_model_;
  int64_t n_refused_ = 0;
};

}  // namespace lastrow::testing
