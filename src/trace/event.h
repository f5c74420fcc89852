// One recorded operation: what ran, its time, its cost, and the rows that it read and wrote (ops/rows.h).
//
//   for (const Event& event : recorder.events(step)) …        in the order in which they ran
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/op.h"
#include "ops/rows.h"

namespace lastrow {

/// `reads` and `writes` have the order of the operation's Operands. Slots of K and V come after the tensors:
///   append       reads k, v                       writes the K slots, the V slots
///   attend       reads q, visible K, visible V    writes out, lse
///   copy_blocks  reads K, V slots of each layer   writes K, V slots of each layer
///   write_rows   reads nothing recorded           writes K or V slots
/// If an operation changes rows in place, it reads one version of them and writes the next.
struct Event {
  int32_t step = 0;
  OpKind op{};
  int32_t layer = -1;
  std::string name;        // Site::name
  double start_us = 0;     // since the recorder was made
  double duration_us = 0;  // of the call; a device that works asynchronously may take longer
  OpCost cost;
  MaskRule mask;       // attend only
  std::string kernel;  // attend only: the kernel that ran; "" if the backend has no choice
  std::vector<RowSpan> reads, writes;
};

}  // namespace lastrow
