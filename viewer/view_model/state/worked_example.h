// The row that decides, worked out with the numbers of this step: shown while nothing is pointed at or pinned.
#pragma once

#include <string>
#include <vector>

namespace lastrow::view {

/// One key of the row that decides.
struct ExampleKey {
  std::string name;           // "3 fox"; "5 others" for the rest
  std::string score, weight;  // in digits; the rest has no score
  float share = 0;            // the weight, 0 … 1
};

/// What the beat has not reached yet is empty.
struct WorkedExample {
  std::string title;                      // "How row 7 decides"
  std::string score_title, score_line;    // "q[7]·k[3] / √16 = 29.0 / 4 = 7.24"
  std::string weight_title;               // "Softmax: scores become weights"
  std::vector<ExampleKey> keys;           // the largest weights, then the rest
  std::string output_title, output_line;  // "out[0] = 0.77·0.53 + 0.18·(−1.2) + … = 0.31"
  std::string reading_title;              // "How to read the panes"
  std::vector<std::string> reading;
  std::string costs_title;  // over the small curve of costs
};

}  // namespace lastrow::view
