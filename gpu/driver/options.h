// What lastrow-kernels is asked to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lastrow::driver {

struct Options {
  std::string target;  // "cuda", "emulated"; empty: what there is
  std::vector<std::string> kernels{"all"};
  bool list = false, roofs = false, check = false, time = false, skip_without_gpu = false;

  std::string set = "quick";  // of problems to check
  int64_t every = 1;          // problem of the set
  std::string journal;        // check_journal.h
  std::string report;         // a journal to print

  std::string shapes = "table";   // ShapeSet
  std::vector<std::string> only;  // choices of these (timed_shapes.h)
  std::string json, from, table;  // results.h, table.h
  bool go_on = false, retry = false;

  double seconds = 0;    // after which nothing more is begun; 0: no limit
  double patience = 20;  // seconds that a GPU may take for one answer; 0: no limit
  int32_t n_threads = 0;
};

}  // namespace lastrow::driver
