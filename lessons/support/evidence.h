// Compares a faulty run with a healthy run of the same tokens: where do they first differ, and how?
//
//   const Evidence e = compare(healthy, faulty);       sessions at the same step, recorded with everything()
//   screen.table(Evidence::head(), {e.row("A"), …});   one row for each faulty run
//
// Both runs must use the same model and the same kind of backend, so that equal work gives equal bits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "session/session.h"
#include "trace/first_difference.h"

namespace lastrow::lessons {

/// Records every operation's output and the scores, for all steps.
RecordOptions everything();

struct Evidence {
  std::optional<FirstDifference> first;
  int32_t sequence = 0;                           // of the first row that differs: its index in the step
  int32_t position = 0;                           // of the token in that row
  int64_t keys_read = 0, keys_expected = 0;       // by attend, in that step and layer
  std::optional<int32_t> turned_as;               // the position whose angle the differing row was rotated by
  std::optional<double> score, score_expected;    // of the first key and the last query; −∞: masked
  int64_t keys_seen = 0, keys_seen_expected = 0;  // by the last query of the sequence
  int64_t bytes = 0, bytes_expected = 0;          // allocated by the cache

  /// One row of a table. If the healthy run has another value, that value follows in brackets.
  static std::vector<std::string> head();
  std::vector<std::string> row(const std::string& name) const;
};
Evidence compare(const DecodeSession& healthy, const DecodeSession& faulty);
/// Any two runs, also of batches. The bytes stay 0.
Evidence compare(const Recorder& healthy, const Recorder& faulty, const ModelConfig& config);

}  // namespace lastrow::lessons
