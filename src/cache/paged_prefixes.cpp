// The prefixes of a PagedCache: which blocks are kept for later texts, and how a text finds them.
#include <algorithm>

#include "cache/paged_cache.h"
#include "core/error.h"

namespace lastrow {

/// What a block at this place of a table has as its parent in the index.
int32_t PagedCache::parent_of(int32_t sequence, int32_t place) const {
  return place == 0 ? PrefixIndex::kRoot : table(sequence)[place - 1];
}

int32_t PagedCache::adopt_prefix(int32_t sequence, std::span<const int32_t> tokens) {
  LASTROW_CHECK(!planned_, "adopt_prefix() between plan() and commit() or abort()");
  LASTROW_CHECK(length(sequence) == 0, "adopt_prefix() of a sequence with {} rows", length(sequence));
  if (!prefixes_) return 0;
  const auto n_tokens = static_cast<int64_t>(tokens.size());
  const int64_t most =
      std::min<int64_t>((std::max<int64_t>(n_tokens, 1) - 1) / spec_.block_len, spec_.max_blocks_per_seq());
  int32_t n_found = 0;
  for (; n_found < most; ++n_found) {
    const auto wanted = tokens.subspan(static_cast<size_t>(n_found) * static_cast<size_t>(spec_.block_len),
                                       static_cast<size_t>(spec_.block_len));
    const int32_t block = prefixes_->find(parent_of(sequence, n_found), wanted);
    if (block == PrefixIndex::kNone) break;
    if (pool_.holders(block) == 0) prefixes_->set_busy(block);
    pool_.share(block);
    table(sequence)[n_found] = block;
  }
  lengths_[sequence] = n_found * spec_.block_len;
  ++counts_.n_lookups;
  counts_.n_hits += n_found > 0;
  counts_.tokens_asked += n_tokens;
  counts_.tokens_found += lengths_[sequence];
  return lengths_[sequence];
}

/// Makes the cached block free, because a step needs it. It is the least recently used one.
void PagedCache::evict(int32_t block) {
  LASTROW_CHECK(block == prefixes_->oldest_idle(), "eviction of block {} before block {}", block,
                prefixes_->oldest_idle());
  prefixes_->remove(block, [&](int32_t removed) {
    LASTROW_CHECK(removed == block, "block {} was evicted before block {} behind it", block, removed);
    pool_.give_back(removed);
  });
  ++counts_.blocks_evicted;
}

/// Takes a block out of the index, if it is there. Of the blocks behind it, those that were cached become
/// free.
void PagedCache::forget(int32_t block) {
  if (prefixes_ && prefixes_->contains(block))
    prefixes_->remove(block, [this](int32_t cached) { pool_.give_back(cached); });
}

/// Tells the index which blocks the planned step writes, and with which tokens.
void PagedCache::note_writes() {
  for (const BlockCopy& copy : plan_.block_copies) prefixes_->copy_tokens(copy.from_block, copy.to_block);
  for (size_t t = 0; t < plan_.append_slots.size(); ++t) {
    const int64_t slot = plan_.append_slots[t];
    const auto block = static_cast<int32_t>(slot / spec_.block_len);
    const bool is_new_block = t == 0 || plan_.append_slots[t - 1] / spec_.block_len != block;
    if (is_new_block) {
      forget(block);
      prefixes_->overwritten(block);
    }
    prefixes_->write(slot, plan_.tokens[t]);
  }
}

/// Puts the full blocks of the sequence that are not in the index yet into it, the first one first.
void PagedCache::share_full_blocks(int32_t sequence) {
  const int32_t* blocks = table(sequence);
  const int32_t n_full = lengths_[sequence] / spec_.block_len;
  int32_t place = n_full;
  while (place > 0 && !prefixes_->contains(blocks[place - 1])) --place;
  for (; place < n_full; ++place) prefixes_->add(blocks[place], parent_of(sequence, place));
}

}  // namespace lastrow
