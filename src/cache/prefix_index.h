// Finds the blocks that hold the rows of a text that begins with the same tokens.
//
// The rows of a token depend on all tokens before it. So a block can be used for another text only if the
// tokens in it *and all tokens before it* are the same. The index is a tree: a node is a full block, its
// parent is the block before it in the text, and the path from the root spells the whole text.
//
//   PrefixIndex index(n_blocks, block_len);
//   index.write(slot, token);                  for each row that is stored
//   index.add(block, parent);                  the block is full; parent: the block before it, or kRoot
//   block = index.find(parent, tokens);        the child of parent with these block_len tokens, or kNone
//   index.set_idle(block);                     no sequence holds it; its rows are kept as long as possible
//   index.set_busy(block);                     a sequence holds it again
//   index.remove(block, on_idle);              with all nodes below it; on_idle gets those that were idle
//   index.overwritten(block);                  rows of a block outside the index have, or may have, changed
//
// * find() compares the tokens one by one. The hash only says where to look, so two texts with the same hash
//   never get each other's rows.
// * Two blocks may have the same parent and the same tokens, because two sequences computed them at the same
//   time. find() gives the one that was added last. The other one is found again when that one is removed.
// * Remove a block before its rows change. remove() takes the nodes below it too, so a node never outlives
//   the tokens before it.
// * A sequence that holds a block also holds its parent, and it sets its blocks idle from the last to the
//   first. So all nodes below an idle node are idle too, and have been idle longer: the node that has been
//   idle longest is always a leaf. Taking it first (least recently used) evicts leaves first.
//
// Each block has a generation, which counts the times that its rows changed. copy_from uses it to see which
// rows of an earlier state are no longer in storage.
//
// Source of the idea: RadixAttention, Zheng et al. 2023 (SGLang); the block hash chain of vLLM.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/function_ref.h"

namespace lastrow {

/// The hash of a block: of its tokens and of the hash of the block before it (0 if there is none).
using PrefixHash = uint64_t (*)(uint64_t parent_hash, std::span<const int32_t> tokens);
uint64_t prefix_hash(uint64_t parent_hash, std::span<const int32_t> tokens);

class PrefixIndex {
 public:
  static constexpr int32_t kRoot = -1, kNone = -1;
  using OnIdle = FunctionRef<void(int32_t block)>;

  /// Empty. Nothing allocates after this. `hash` is a parameter so that a test can force collisions.
  PrefixIndex(int32_t n_blocks, int32_t block_len, PrefixHash hash = prefix_hash);

  void write(int64_t slot, int32_t token) { tokens_[slot] = token; }
  void copy_tokens(int32_t from_block, int32_t to_block);
  void overwritten(int32_t block);

  bool contains(int32_t block) const { return nodes_[block].parent != kAbsent; }
  int32_t find(int32_t parent, std::span<const int32_t> tokens) const;
  void add(int32_t block, int32_t parent);
  void remove(int32_t block, OnIdle on_idle);

  void set_idle(int32_t block);
  void set_busy(int32_t block);
  int32_t n_idle() const { return n_idle_; }
  /// The idle nodes, from the least recently used one on. kNone after the last.
  int32_t oldest_idle() const { return oldest_; }
  int32_t next_idle(int32_t block) const { return nodes_[block].newer; }

  /// Takes over the state of `other`, an index of the same sizes for the same storage. If `other` is an
  /// earlier copy of this index, removes the blocks whose rows have changed since then. Allocates nothing.
  void copy_from(const PrefixIndex& other, OnIdle on_idle);

 private:
  static constexpr int32_t kAbsent = -2;  // the parent of a block that is not in the index
  struct Node {
    int32_t parent = kAbsent;
    int32_t first_child = kNone, previous_sibling = kNone, next_sibling = kNone;
    int32_t next_in_bucket = kNone;
    int32_t older = kNone, newer = kNone;  // in the list of idle nodes
    bool is_idle = false;
    int64_t generation = 0;  // of the block when it was added
    uint64_t hash = 0;
  };

  std::span<const int32_t> tokens_of(int32_t block) const;
  uint64_t hash_of(int32_t parent, std::span<const int32_t> tokens) const;
  int32_t& bucket(uint64_t hash) { return buckets_[hash & (buckets_.size() - 1)]; }
  int32_t bucket(uint64_t hash) const { return buckets_[hash & (buckets_.size() - 1)]; }
  void remove_leaf(int32_t block);

  int32_t block_len_;
  PrefixHash hash_;
  std::vector<Node> nodes_;           // [n_blocks]
  std::vector<int64_t> generations_;  // [n_blocks]
  std::vector<int32_t> tokens_;       // [n_blocks, block_len]   by slot
  std::vector<int32_t> buckets_;      // [a power of two]        first node of each list
  int32_t oldest_ = kNone, newest_ = kNone, n_idle_ = 0;
};

}  // namespace lastrow
