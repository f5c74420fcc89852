// A WindowCache that does random operations, with a plain model beside it.
//
//   RandomWindow cache(config);
//   cache.apply(operation);      throws std::runtime_error if the cache does what it should not
//   cache.compare();             throws if the cache is not in the state of the model
//
// The model keeps the text of each sequence and the set of the positions that it holds. It names each row by
// all tokens up to its own, and keeps for each slot the name of the row that was written there last.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "cache/cache_model.h"
#include "cache/random_cache.h"
#include "cache/window_cache.h"
#include "core/random.h"

namespace lastrow::testing {

struct WindowConfig {
  int32_t max_seq_len = 20, block_len = 2, n_seqs = 2, window = 4, sinks = 1, longest_step = 3;
};
WindowConfig random_window(Random& random);
CacheOptions options_of(const WindowConfig& config);
CacheSizes sizes_of(const WindowConfig& config);

class RandomWindow {
 public:
  explicit RandomWindow(const WindowConfig& config);

  /// Actions that a window cache does not know (start, adopt, fork) append.
  void apply(const Operation& operation);
  void compare() const;
  int64_t n_refused() const { return n_refused_; }
  int64_t n_failed_allocations() const { return n_failed_allocations_; }
  int64_t n_forgotten() const { return state_.n_forgotten; }

 private:
  struct Sequence {
    Ints tokens;
    std::set<int32_t> held;  // positions
  };
  struct State {
    std::vector<Sequence> sequences;
    int64_t n_forgotten = 0;
  };

  bool is_visible(int32_t query, int32_t key) const;
  std::set<int32_t> held_after(int32_t n) const;
  uint64_t row_of(const Ints& tokens, int32_t position) const;
  bool is_too_long(const std::vector<Feed>& feeds) const;
  void check(const StepPlan& plan, const std::vector<Feed>& feeds) const;
  void check_keys(const StepPlan& plan, int32_t i, const Feed& feed) const;
  void step(const std::vector<Feed>& feeds, bool commit, uint32_t fail);
  std::vector<Feed> feeds_of(const Operation& operation) const;
  void truncate(const Operation& operation);
  void refuse(const Operation& operation);

  WindowConfig config_;
  WindowCache cache_, saved_[kSaved];
  State state_, saved_states_[kSaved];
  std::vector<uint64_t> stored_;  // [n_blocks · block_len]   not undone: it is what the storage really holds
  int64_t n_refused_ = 0, n_failed_allocations_ = 0;
};

}  // namespace lastrow::testing
