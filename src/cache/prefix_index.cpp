#include "cache/prefix_index.h"

#include <algorithm>
#include <bit>

#include "core/error.h"

namespace lastrow {

/// FNV-1a over whole tokens, and a last mixing step because the low bits choose the bucket.
uint64_t prefix_hash(uint64_t parent_hash, std::span<const int32_t> tokens) {
  uint64_t hash = parent_hash ^ 0xCBF29CE484222325u;
  for (const int32_t token : tokens) hash = (hash ^ static_cast<uint32_t>(token)) * 0x100000001B3u;
  return hash ^ (hash >> 32);
}

PrefixIndex::PrefixIndex(int32_t n_blocks, int32_t block_len, PrefixHash hash)
    : block_len_(block_len),
      hash_(hash),
      nodes_(n_blocks),
      generations_(n_blocks, 0),
      tokens_(static_cast<size_t>(n_blocks) * static_cast<size_t>(block_len), 0),
      buckets_(std::bit_ceil(static_cast<size_t>(n_blocks)), kNone) {}

std::span<const int32_t> PrefixIndex::tokens_of(int32_t block) const {
  return {tokens_.data() + int64_t{block} * block_len_, static_cast<size_t>(block_len_)};
}

void PrefixIndex::copy_tokens(int32_t from_block, int32_t to_block) {
  std::ranges::copy(tokens_of(from_block), tokens_.data() + int64_t{to_block} * block_len_);
}

uint64_t PrefixIndex::hash_of(int32_t parent, std::span<const int32_t> tokens) const {
  return hash_(parent == kRoot ? 0 : nodes_[parent].hash, tokens);
}

int32_t PrefixIndex::find(int32_t parent, std::span<const int32_t> tokens) const {
  const uint64_t hash = hash_of(parent, tokens);
  for (int32_t block = bucket(hash); block != kNone; block = nodes_[block].next_in_bucket) {
    const Node& node = nodes_[block];
    if (node.hash == hash && node.parent == parent && std::ranges::equal(tokens_of(block), tokens))
      return block;
  }
  return kNone;
}

void PrefixIndex::add(int32_t block, int32_t parent) {
  LASTROW_CHECK(!contains(block), "add() of block {}, which is in the index", block);
  LASTROW_CHECK(parent == kRoot || contains(parent), "add() below block {}, which is not in the index",
                parent);
  const uint64_t hash = hash_of(parent, tokens_of(block));
  Node& node = nodes_[block];
  node = {.parent = parent, .next_in_bucket = bucket(hash), .generation = generations_[block], .hash = hash};
  bucket(hash) = block;
  if (parent == kRoot) return;
  node.next_sibling = nodes_[parent].first_child;
  if (node.next_sibling != kNone) nodes_[node.next_sibling].previous_sibling = block;
  nodes_[parent].first_child = block;
}

void PrefixIndex::remove_leaf(int32_t block) {
  Node& node = nodes_[block];
  int32_t* link = &bucket(node.hash);
  while (*link != block) link = &nodes_[*link].next_in_bucket;
  *link = node.next_in_bucket;
  if (node.next_sibling != kNone) nodes_[node.next_sibling].previous_sibling = node.previous_sibling;
  if (node.previous_sibling != kNone)
    nodes_[node.previous_sibling].next_sibling = node.next_sibling;
  else if (node.parent != kRoot)
    nodes_[node.parent].first_child = node.next_sibling;
  node = {};
}

void PrefixIndex::remove(int32_t block, OnIdle on_idle) {
  LASTROW_CHECK(contains(block), "remove() of block {}, which is not in the index", block);
  for (int32_t at = block; contains(block);) {
    if (nodes_[at].first_child != kNone) {
      at = nodes_[at].first_child;
      continue;
    }
    const int32_t leaf = at;
    const bool was_idle = nodes_[leaf].is_idle;
    if (was_idle) set_busy(leaf);
    at = nodes_[leaf].parent;
    remove_leaf(leaf);
    if (was_idle) on_idle(leaf);
  }
}

void PrefixIndex::overwritten(int32_t block) {
  LASTROW_CHECK(!contains(block), "block {} was overwritten, but it is in the index", block);
  ++generations_[block];
}

void PrefixIndex::set_idle(int32_t block) {
  Node& node = nodes_[block];
  LASTROW_CHECK(contains(block) && !node.is_idle, "set_idle() of block {}", block);
  node.is_idle = true;
  node.older = newest_;
  (newest_ == kNone ? oldest_ : nodes_[newest_].newer) = block;
  newest_ = block;
  ++n_idle_;
}

void PrefixIndex::set_busy(int32_t block) {
  Node& node = nodes_[block];
  LASTROW_CHECK(node.is_idle, "set_busy() of block {}, which is not idle", block);
  (node.older == kNone ? oldest_ : nodes_[node.older].newer) = node.newer;
  (node.newer == kNone ? newest_ : nodes_[node.newer].older) = node.older;
  node.older = node.newer = kNone;
  node.is_idle = false;
  --n_idle_;
}

void PrefixIndex::copy_from(const PrefixIndex& other, OnIdle on_idle) {
  nodes_ = other.nodes_;  // vectors of equal size: copies, allocates nothing
  tokens_ = other.tokens_;
  buckets_ = other.buckets_;
  oldest_ = other.oldest_;
  newest_ = other.newest_;
  n_idle_ = other.n_idle_;
  // If this index saw more changes of a block than `other`, `other` describes rows that were overwritten. The
  // caller may now write the old rows back. That counts as one more change.
  for (size_t block = 0; block < generations_.size(); ++block) {
    const int64_t seen = generations_[block], theirs = other.generations_[block];
    generations_[block] = seen > theirs ? seen + 1 : theirs;
  }
  for (int32_t block = 0; block < static_cast<int32_t>(nodes_.size()); ++block)
    if (contains(block) && nodes_[block].generation != generations_[block]) remove(block, on_idle);
}

}  // namespace lastrow
