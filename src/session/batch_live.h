// All that the steps of a BatchSession change. Running recorded steps again fills a second Live, which then
// takes the place of the first. So a call that fails half way has changed nothing.
#pragma once

#include <memory>
#include <vector>

#include "session/batch_session.h"

namespace lastrow {

struct BatchSession::Live {
  /// Nothing has run. The storage has n_spare_blocks more blocks than the cache, for private copies of blocks
  /// with a poked row.
  Live(const CacheOptions& options, const CacheSizes& sizes, Backend& backend, int32_t n_spare_blocks);

  Generation& at(int32_t id) { return generations[static_cast<size_t>(id)]; }
  const Generation& at(int32_t id) const { return generations[static_cast<size_t>(id)]; }
  /// The smallest number of a sequence that no generation has; −1: none.
  int32_t free_sequence() const;
  /// Adds a generation as it is before its first step.
  void add_waiting(const Generation& g);
  /// Makes room for all the tokens and the logits of a generation, so that its steps allocate nothing.
  void make_room(Generation& g) const;
  /// Lets `child`, which has room, go on like `parent`.
  void fork(int32_t parent, int32_t child, int32_t sequence);

  int32_t vocab_size = 0;
  std::unique_ptr<KvCache> cache;
  std::unique_ptr<KvCache> before;  // the cache's bookkeeping at the start of a step
  std::unique_ptr<KvCache> trial;   // the same, before a generation looks for its prefix
  std::unique_ptr<KvStorage> storage;
  int32_t step = -1;
  std::vector<Generation> generations;  // by id
  int32_t n_waiting = 0;                // generations that have not joined; branches never wait
  int32_t next_to_join = 0;             // all generations with smaller ids have joined, or are branches
  std::vector<int32_t> running;         // ids, in the order in which they are packed
  BatchStep record;
  std::vector<PokeReport> reports;  // one for each poke, for the current step
};

}  // namespace lastrow
