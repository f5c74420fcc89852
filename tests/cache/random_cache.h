// A PagedCache that does random operations, with the model beside it.
//
//   RandomCache cache(config);
//   cache.apply(operation);      throws std::runtime_error if the cache does what it should not
//   cache.compare();             throws if the cache is not in the state of the model
//
// Any operation is possible in any state: numbers are reduced to what there is, and where an operation makes
// no sense (a fork of a cache with one sequence), nothing is done. So a list of operations stays valid when
// some are left out, as RapidCheck does to find a short list that fails.
#pragma once

#include <cstdint>

#include "cache/cache_model.h"
#include "cache/paged_cache.h"
#include "core/random.h"

namespace lastrow::testing {

enum class Action : uint8_t {
  append,
  step_all,
  start,
  adopt,
  fork,
  truncate,
  reset,
  abort,
  refuse,
  save,
  undo
};
/// One of these, at random: frequent ones stand here several times.
constexpr Action kUsualActions[16] = {Action::append, Action::append,   Action::append, Action::step_all,
                                      Action::start,  Action::start,    Action::adopt,  Action::fork,
                                      Action::fork,   Action::truncate, Action::reset,  Action::reset,
                                      Action::abort,  Action::refuse,   Action::save,   Action::undo};

struct Operation {
  Action action = Action::append;
  uint32_t who = 0;     // the sequence, and other choices
  uint32_t amount = 0;  // how many tokens
  uint32_t tokens = 0;  // two bits for each token
  uint32_t fail = 0;    // which allocation of the plan fails; 0: none
};

CacheConfig random_config(Random& random);
Operation random_operation(Random& random);

class RandomCache {
 public:
  explicit RandomCache(const CacheConfig& config);

  void apply(const Operation& operation);
  void compare() const { model_.compare(cache_); }
  int64_t n_refused() const { return n_refused_; }
  int64_t n_failed_allocations() const { return n_failed_allocations_; }
  PrefixCounts prefix_counts() const { return cache_.prefix_counts(); }

 private:
  enum class End { commit, abort };
  void step(const std::vector<Feed>& feeds, End end, uint32_t fail = 0);
  void append(const Operation& operation, End end);
  void step_all(const Operation& operation, End end);
  void start(const Operation& operation);
  int32_t adopt(int32_t sequence, const Ints& text);
  void fork(const Operation& operation);
  void truncate(const Operation& operation);
  void refuse(const Operation& operation);

  int32_t sequence_of(const Operation& operation) const;
  int32_t room(int32_t sequence) const { return config_.max_seq_len - model_.length(sequence); }
  Ints text_of(const Operation& operation) const;

  CacheConfig config_;
  PagedCache cache_, saved_[kSaved];
  CacheModel model_;
  int64_t n_refused_ = 0, n_failed_allocations_ = 0;
};

}  // namespace lastrow::testing
