// The options of lastrow-kernels, and how its command line fills them.
//
//   Options o;
//   CLI::App app{"…"};
//   add_options(app, o);
//   app.parse(argc, argv);      main.cpp then checks which options go together
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lastrow::driver {

struct Options {
  std::string target;  // "cuda", "emulated"; empty: cuda if there is a GPU, else emulated
  std::vector<std::string> kernels{"all"};
  bool list = false, roofs = false, check = false, time = false, skip_without_gpu = false;

  bool show_template = false;
  std::string own;  // a kernel file to try (try_kernel/try.h)

  std::string set = "quick";  // problems to check (check_cases.h)
  int64_t every = 1;          // check every so many-th problem of the set
  std::string journal;        // check_journal.h
  std::string report;         // a journal to print

  std::string shapes = "table";   // ShapeSet
  std::vector<std::string> only;  // which of these shapes (timed_shapes.h)
  std::string json, from, table;  // results.h, table.h
  bool go_on = false, retry = false;

  double seconds = 0;    // nothing new is begun later; 0: no limit
  double patience = 20;  // seconds that a GPU may take for one answer; 0: no limit
  int32_t n_threads = 0;
};

/// Adds all options and the help text. An option that gets an empty value is an error.
void add_options(CLI::App& app, Options& o);

}  // namespace lastrow::driver
