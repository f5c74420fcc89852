// Where two recorded runs of the same steps first differ, bit for bit.
//
//   const auto d = first_difference(healthy.recorder(), faulty.recorder());
//   d->place()                                "step 1, layer 0, rope_q"; no value: nothing differs
//
// Record both runs with keep = all and ops = {"*"}. Both must use the same model and the same kind of
// backend, so that equal work gives equal bits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "trace/recorder.h"

namespace lastrow {

/// The first operation, in running order, whose output differs.
struct FirstDifference {
  int32_t step, layer;
  std::string op;
  int64_t row;     // the first row of the tensor that differs
  double largest;  // largest difference in the tensor

  std::string place() const;  // "step 1, layer 0, rope_q"
};
std::optional<FirstDifference> first_difference(const Recorder& healthy, const Recorder& faulty);

}  // namespace lastrow
