// What two recordings of the same tokens tell about a bug: where they first differ, and in what.
//
//   const Evidence e = compare(healthy, faulty);       sessions at the same step, recorded with everything()
//   screen.table(Evidence::head(), {e.row("A"), …});   for a person
//
// Both must be of one model on one backend, so that equal work gives equal bits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "session/session.h"

namespace lastrow::lessons {

/// Every operation's output, all steps, scores too.
RecordOptions everything();

/// The first operation, in the order in which they ran, whose output differs.
struct FirstDifference {
  int32_t step, layer;
  std::string op;
  int64_t row;     // of the tensor: the first that differs
  double largest;  // over the tensor

  std::string place() const;  // "step 1, layer 0, rope_q"
};
std::optional<FirstDifference> first_difference(const Recorder& healthy, const Recorder& faulty);

struct Evidence {
  std::optional<FirstDifference> first;
  int32_t position = 0;                         // of the token in the row that differs first
  int64_t keys_read = 0, keys_expected = 0;     // by attend, in that step and layer
  std::optional<int32_t> turned_as;             // the position whose angle the differing row of k has
  std::optional<double> score, score_expected;  // of the first key, for the last query; −∞: left out
  int64_t bytes = 0, bytes_expected = 0;        // that the cache has allocated

  /// As a row of a table; what the healthy run has stands in brackets where it differs.
  static std::vector<std::string> head();
  std::vector<std::string> row(const std::string& name) const;
};
Evidence compare(const DecodeSession& healthy, const DecodeSession& faulty);

}  // namespace lastrow::lessons
