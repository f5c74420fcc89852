// One recorded operation: what ran, for how long, at what cost, and which rows it read and wrote.
//
// How rows are named: ops/rows.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/op.h"
#include "ops/rows.h"

namespace lastrow {

/// Rows stand in the order of the operation's Operands; the slots of K and of V come after the tensors:
///   append       reads k, v                       writes the K slots, the V slots
///   attend       reads q, visible K, visible V    writes out, lse
///   copy_blocks  reads K, V slots of each layer   writes K, V slots of each layer
///   write_rows   reads nothing recorded           writes K or V slots
/// What an operation changes in place it reads, and writes as its next version.
struct Event {
  int32_t step = 0;
  OpKind op{};
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
