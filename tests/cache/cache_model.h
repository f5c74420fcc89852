// What a PagedCache should do, written plainly: vectors of tokens, lists of blocks, searches from end to end.
//
// A row is named by all tokens up to its own. The model keeps, for each slot, the name of the row that was
// written there last. A sequence is right if each of its slots holds the row that its tokens name.
//
// The model does not choose blocks. It reads them from the plan, and says whether the plan could choose them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/pages.h"

namespace lastrow::testing {

struct CacheConfig {
  int32_t max_seq_len = 8;  // at most kLongestText
  int32_t block_len = 2;
  int32_t n_blocks = 8;  // at most kMostBlocks
  int32_t n_seqs = 2;
  bool share_prefixes = true;
  bool hashes_collide = false;  // all texts get the same hash
};

/// Digits 1 to 3 in base 4, one for each token 0 to 2. 0 names no row.
using RowName = uint64_t;
constexpr int32_t kLongestText = 31;
constexpr int32_t kMostBlocks = 128;
constexpr int32_t kSaved = 2;
RowName next_row(RowName before, int32_t token);
RowName name_of(std::span<const int32_t> tokens);
/// The tokens that name a row.
Ints tokens_of(RowName row);

/// One input of a step.
struct Feed {
  int32_t sequence;
  Ints tokens;
};

/// Throws std::runtime_error with the message if the condition does not hold.
void require(bool condition, const char* message);
template <typename Exception, typename Call>
void require_throws(const Call& call, const char* message) {
  try {
    call();
  } catch (const Exception&) {
    return;
  }
  require(false, message);
}

class CacheModel {
 public:
  explicit CacheModel(const CacheConfig& config);

  int32_t length(int32_t sequence) const { return static_cast<int32_t>(tokens(sequence).size()); }
  const Ints& tokens(int32_t sequence) const { return state_.sequences[sequence].tokens; }
  /// The tokens that lead to the end of a block in the index. Empty if the block is not in the index.
  Ints path_to(int32_t block) const;

  /// Whether a step needs more blocks than there are. Then the cache must refuse it.
  bool is_too_large(std::span<const Feed> step) const;
  /// Throws if this plan is wrong for this step.
  void check(const StepPlan& plan, std::span<const Feed> step) const;

  // The same changes as those of the cache.
  void commit(const StepPlan& plan, std::span<const Feed> step);
  void abort(const StepPlan& plan);
  void fork(int32_t from, int32_t to);
  void truncate(int32_t sequence, int32_t n_tokens);
  void reset(int32_t sequence);
  /// Returns how many tokens must be found.
  int32_t adopt(int32_t sequence, std::span<const int32_t> text);

  /// There are kSaved places for states.
  void save(int32_t place);
  /// Goes to a saved state. The rows of its sequences are written back to their slots, as callers do.
  void undo(int32_t place);

  /// Throws unless the cache is in the state of the model.
  void compare(const KvCache& cache) const;

 private:
  struct Sequence {
    Ints tokens, blocks;
  };
  struct Entry {  // what the prefix index knows of a block
    bool is_in_index = false;
    int32_t parent = -1;
    RowName path = 0;      // the last row of the block
    int64_t added_at = 0;  // of two equal entries, the one that was added last is found
  };
  struct State {
    std::vector<Sequence> sequences;
    std::vector<Entry> entries;  // [n_blocks]
    Ints idle;                   // blocks in the index that no sequence holds, least recently used first
    std::vector<int64_t> times_written;  // [n_blocks]
    int64_t clock = 0;
    PrefixCounts counts;
  };

  int32_t holders(int32_t block) const;
  int32_t n_used() const;
  int32_t n_free() const { return config_.n_blocks - n_used() - static_cast<int32_t>(state_.idle.size()); }
  int32_t last_block_if_partial(int32_t sequence) const;
  bool keeps_shared_block(const Feed& feed, std::span<const Feed> step) const;
  void check_new_blocks(const Ints& taken) const;
  Ints taken_blocks(const StepPlan& plan) const;
  void write(const StepPlan& plan);
  void leave_index(int32_t block);
  void drop_blocks(int32_t sequence, size_t n_kept);
  void share_full_blocks(int32_t sequence);

  CacheConfig config_;
  State state_, saved_[kSaved];
  std::vector<RowName> stored_;  // [n_blocks · block_len]   not undone: it is what the storage really holds
};

}  // namespace lastrow::testing
