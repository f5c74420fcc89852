// One recorded operation: what ran, for how long, at what cost, and which rows it read and wrote.
//
// Rows live in spaces. A row of a tensor is one step of its first dimension; tensors get small ids in the
// order in which a recorder first meets them, and a version that counts the writes to them. A row of K or V
// is a slot of one layer's storage, all its heads, with a version of its own. Tokens are the packed ids of
// the step, version = step. Weights are tensors too: they are read and never written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attention/mask.h"
#include "cost/op_cost.h"

namespace lastrow {

enum class Op : uint8_t {
  embed,
  rms_norm,
  linear,
  rope,
  append,
  attend,
  swiglu,
  add,
  gather_rows,
  argmax,
  copy_blocks,
  write_rows,
};
inline constexpr int kOpCount = 12;
std::string_view name_of(Op op);  // "rms_norm"

enum class RowSpace : uint8_t { tensor, k, v, token };

/// Rows [first, first + count) of one space, all of one version.
struct RowSpan {
  RowSpace space;
  int32_t id;  // tensor: its id; k, v: the layer; token: 0
  int64_t first, count;
  int64_t version;

  bool contains(RowSpace s, int32_t i, int64_t row) const {
    return space == s && id == i && row >= first && row < first + count;
  }
  bool operator==(const RowSpan&) const = default;
};

/// Operands stand in the order of Backend's arguments; K and V rows after the tensors:
///   embed        reads tokens, table              writes out
///   rms_norm     reads x, weight                  writes out
///   linear       reads x, weight (, bias)         writes out
///   rope         reads x                          writes x (its next version)
///   append       reads k, v                       writes the K slots, the V slots
///   attend       reads q, visible K, visible V    writes out, lse
///   swiglu       reads gate, up                   writes out
///   add          reads y, x                       writes x (its next version)
///   gather_rows  reads x                          writes out
///   argmax       reads logits                     writes ids
///   copy_blocks  reads K, V slots of each layer   writes K, V slots of each layer
///   write_rows   reads nothing recorded           writes K or V slots
struct Event {
  int32_t step = 0;
  Op op = Op::embed;
  int32_t layer = -1;
  std::string name;        // of the Site
  double start_us = 0;     // since the recorder was made
  double duration_us = 0;  // of the call; a device that works behind the host's back may take longer
  OpCost cost;
  MaskRule mask;       // attend only
  std::string kernel;  // attend only: the one that ran, "" on a backend without a choice
  std::vector<RowSpan> reads, writes;
};

}  // namespace lastrow
