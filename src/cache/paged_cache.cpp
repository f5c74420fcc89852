#include "cache/paged_cache.h"

#include <algorithm>

#include "core/error.h"

namespace lastrow {

namespace {

const CacheSpec& valid(const CacheSpec& spec, int32_t n_seqs) {
  validate(spec);
  if (spec.block_len > spec.max_seq_len)
    throw ShapeError("block_len {} > max_seq_len {}: use blocks of at most {}", spec.block_len,
                     spec.max_seq_len, spec.max_seq_len);
  if (n_seqs < 1) throw ShapeError("n_seqs is {}: it must be at least 1", n_seqs);
  return spec;
}

}  // namespace

PagedCache::PagedCache(const CacheSpec& spec, int32_t n_seqs, SharePrefixes share, PrefixHash hash)
    : spec_(valid(spec, n_seqs)),
      pool_(spec.n_blocks),
      lengths_(n_seqs, 0),
      tables_(static_cast<size_t>(n_seqs) * static_cast<size_t>(spec.max_blocks_per_seq()), -1) {
  // Enough for the longest prompt of one sequence, or for one token of each sequence. Several prompts in one
  // step may need more; then the plan allocates.
  plan_.reserve(std::max(spec.max_seq_len, n_seqs), n_seqs, spec.max_blocks_per_seq());
  chosen_.reserve(spec.n_blocks);
  if (seals_blocks()) {
    LASTROW_CHECK(share == SharePrefixes::no && spec.n_open_blocks == n_seqs * spec.sealing().n_open(),
                  "{} open blocks for {} sequences", spec.n_open_blocks, n_seqs);
    plan_.open_blocks.reserve(spec.n_blocks);
    plan_.open_slots.reserve(std::max(spec.longest_step, n_seqs));
    plan_.seals.reserve(n_seqs + spec.longest_step / spec.block_len);
  }
  if (share == SharePrefixes::yes) prefixes_.emplace(spec.n_blocks, spec.block_len, hash);
}

int32_t PagedCache::length(int32_t sequence) const {
  LASTROW_CHECK(sequence >= 0 && sequence < n_seqs(), "sequence {} of {}", sequence, n_seqs());
  return lengths_[sequence];
}

void PagedCache::require_held(int32_t sequence, int32_t index) const {
  LASTROW_CHECK(index >= 0 && index < length(sequence), "index {} of {}", index, length(sequence));
}

int64_t PagedCache::slot(int32_t sequence, int32_t index) const {
  require_held(sequence, index);
  return slot_of({table(sequence), spec_.max_blocks_per_seq(), spec_.block_len}, index);
}

int32_t PagedCache::position_of(int32_t sequence, int32_t index) const {
  require_held(sequence, index);
  return index;
}

bool PagedCache::can_truncate(int32_t sequence, int32_t n_tokens) const {
  if (!seals_blocks() || n_tokens == 0) return true;
  return spec_.sealing().n_sealed(n_tokens) == spec_.sealing().n_sealed(length(sequence));
}

void PagedCache::truncate(int32_t sequence, int32_t n_tokens) {
  LASTROW_CHECK(!planned_, "truncate() between plan() and commit() or abort()");
  LASTROW_CHECK(n_tokens >= 0 && n_tokens <= length(sequence), "truncate to {} of {}", n_tokens,
                length(sequence));
  if (!can_truncate(sequence, n_tokens))
    throw UsageError(
        "sequence {} of {} tokens cannot go back to {}: blocks of K that were in f32 then have been rounded "
        "to int8; go back to 0 and feed the tokens again",
        sequence, lengths_[sequence], n_tokens);
  const int32_t* blocks = table(sequence);
  const int32_t n_blocks = blocks_for(lengths_[sequence]), n_kept = blocks_for(n_tokens);
  for (int32_t i = n_kept; i < n_blocks; ++i)
    if (pool_.holders(blocks[i]) == 1) forget(blocks[i]);
  // The last block first, so that the sequence gets the same blocks when it grows again.
  for (int32_t i = n_blocks - 1; i >= n_kept; --i) drop_block(sequence, i);
  lengths_[sequence] = n_tokens;
}

void PagedCache::reset(int32_t sequence) {
  LASTROW_CHECK(!planned_, "reset() between plan() and commit() or abort()");
  for (int32_t i = blocks_for(length(sequence)) - 1; i >= 0; --i) drop_block(sequence, i);
  lengths_[sequence] = 0;
}

/// Takes a block out of a table. If no sequence holds it then, it is cached or free.
void PagedCache::drop_block(int32_t sequence, int32_t place) {
  int32_t& block = table(sequence)[place];
  if (pool_.drop(block) == 0) {
    if (prefixes_ && prefixes_->contains(block))
      prefixes_->set_idle(block);
    else
      pool_.give_back(block);
  }
  block = -1;
}

void PagedCache::fork(int32_t from, int32_t to) {
  LASTROW_CHECK(!planned_, "fork() between plan() and commit() or abort()");
  if (seals_blocks())
    throw UsageError(
        "a cache with K as int8-channel cannot share blocks, because they are sealed for one sequence: use "
        "int8");
  for (const int32_t sequence : {from, to})
    if (sequence < 0 || sequence >= n_seqs())
      throw UsageError("there is no sequence {}: the cache has {}, numbered from 0; raise n_seqs", sequence,
                       n_seqs());
  if (lengths_[to] != 0)
    throw UsageError("sequence {} holds {} rows, so it cannot become a fork: reset it first", to,
                     lengths_[to]);
  const int32_t n = blocks_for(lengths_[from]);
  for (int32_t i = 0; i < n; ++i) pool_.share(table(from)[i]);
  std::copy_n(table(from), n, table(to));
  lengths_[to] = lengths_[from];
}

/// Of the sequences that have this partly filled block as their last one, exactly one answers yes: the first
/// of those that hold the most rows of it. No one does if another sequence holds the block full.
bool PagedCache::stores_tail(int32_t sequence) const {
  const int32_t last = blocks_for(lengths_[sequence]) - 1, block = table(sequence)[last];
  if (pool_.holders(block) == 1) return true;
  for (int32_t other = 0; other < n_seqs(); ++other) {
    if (other == sequence || table(other)[last] != block) continue;
    if (lengths_[other] > lengths_[sequence]) return false;
    if (lengths_[other] == lengths_[sequence] && other < sequence) return false;
  }
  return true;
}

CacheUsage PagedCache::usage() const {
  CacheUsage usage;
  usage.blocks_used = pool_.n_used();
  usage.blocks_shared = pool_.n_shared();
  usage.blocks_cached = n_cached();
  usage.blocks_free = pool_.n_free();
  usage.rows_reserved = int64_t{usage.blocks_used} * spec_.block_len;
  usage.rows_stored = usage.rows_reserved;
  for (int32_t sequence = 0; sequence < n_seqs(); ++sequence) {
    usage.rows_held += lengths_[sequence];
    const int32_t in_last_block = lengths_[sequence] % spec_.block_len;
    if (in_last_block > 0 && stores_tail(sequence)) usage.rows_stored -= spec_.block_len - in_last_block;
  }
  return usage;
}

void PagedCache::copy_from(const KvCache& other) {
  const auto* same = dynamic_cast<const PagedCache*>(&other);
  LASTROW_CHECK(same != nullptr && same->n_seqs() == n_seqs() &&
                    same->spec_.max_seq_len == spec_.max_seq_len &&
                    same->spec_.block_len == spec_.block_len && same->spec_.n_blocks == spec_.n_blocks &&
                    same->prefixes_.has_value() == prefixes_.has_value() &&
                    same->spec_.longest_step == spec_.longest_step,
                "copy_from() a cache of another kind or size");
  LASTROW_CHECK(!planned_ && !same->planned_, "copy_from() between plan() and commit() or abort()");
  pool_.copy_from(same->pool_);
  lengths_ = same->lengths_;
  tables_ = same->tables_;
  counts_ = same->counts_;
  if (prefixes_) prefixes_->copy_from(*same->prefixes_, [this](int32_t block) { pool_.give_back(block); });
}

}  // namespace lastrow
