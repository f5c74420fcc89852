#include "gpu/driver/options.h"

#include <CLI/CLI.hpp>

namespace lastrow::driver {
namespace {

void add_check_options(CLI::App& app, Options& o) {
  app.add_flag("--check", o.check, "Compare every rung with naive-f64, on shapes chosen to be difficult");
  app.add_option("--set", o.set,
                 "Problems to check: quick (every pair of values of two properties) or full (all "
                 "combinations)")
      ->check(CLI::IsMember({"quick", "full"}))
      ->capture_default_str();
  app.add_option(
         "--every", o.every,
         "Check only every N-th problem of the set, for example because all of --set full takes hours")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}));
  app.add_option("--journal", o.journal,
                 "Keep the results of the check in this file, and skip what it already holds. With --time "
                 "but without --check: use these results instead of a new check");
  app.add_option("--report", o.report, "Print the journal of an earlier check");
}

void add_time_options(CLI::App& app, Options& o) {
  app.add_flag("--time", o.time, "Time the rungs, after the check (only on a GPU)");
  app.add_option("--shapes", o.shapes,
                 "Shapes to time: table (those of gpu/README.md), few (fourteen of them) or full (all "
                 "combinations)")
      ->check(CLI::IsMember({"few", "table", "full"}))
      ->capture_default_str();
  app.add_option("--only", o.only,
                 "Time only the shapes that have these words: 'prefill', '32:8x128 b1 decode'. May be given "
                 "several times; shapes are timed in that order")
      ->allow_extra_args(false);
  app.add_option("--json", o.json, "Write the times to this file");
  app.add_flag("--continue", o.go_on, "Add the times that the file of --json lacks");
  app.add_flag("--retry", o.retry,
               "With --continue: if the last run ended while it took a time, take that time again instead of "
               "counting it as lost");
  app.add_option("--table", o.table, "Rewrite the table between the marker comments of this file");
  app.add_option("--from", o.from, "Make the table from the JSON of an earlier run");
}

void add_own_options(CLI::App& app, Options& o) {
  app.add_flag("--template", o.show_template, "Print a small kernel of your own to begin with: > my.cu");
  app.add_option(
      "--try", o.own,
      "Compile this kernel file, check it like a rung, and count its memory traffic beside that of "
      "the ladder. With a GPU and nvcc: also time it there");
}

/// An empty value, as in `--json ""`, is an error.
void refuse_empty_values(CLI::App& app) {
  for (CLI::Option* option : app.get_options())
    if (option->get_type_size() == 1 && option->get_name() != "--help")
      option->each([](const std::string& value) {
        if (value.empty()) throw CLI::ValidationError("needs a value");
      });
}

}  // namespace

void add_options(CLI::App& app, Options& o) {
  app.name("lastrow-kernels");
  app.add_option("--target", o.target, "Default: cuda if there is a GPU, else emulated")
      ->check(CLI::IsMember({"cuda", "emulated"}));
  app.add_option("--kernel", o.kernels, "all, or a list that is run in its order: k11,k09")
      ->delimiter(',')
      ->capture_default_str();
  app.add_flag("--list", o.list, "List the rungs, their ideas, and the types of K/V that they take");
  app.add_flag("--roofs", o.roofs, "Measure how fast the GPU reads and copies its memory");
  add_check_options(app, o);
  add_time_options(app, o);
  add_own_options(app, o);
  app.add_option("--seconds", o.seconds, "Begin nothing new after so many seconds, and say what is left")
      ->check(CLI::Range(1.0, 86400.0));
  app.add_option("--patience", o.patience,
                 "End the process if the GPU does not answer for so many seconds; 0: wait for ever")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  app.add_option("--threads", o.n_threads, "Default: one per core")->check(CLI::Range(1, 1024));
  app.add_flag("--skip-without-gpu", o.skip_without_gpu, "If there is no GPU, say so and exit with 77");
  app.footer(
      "Examples:\n"
      "  lastrow-kernels --check --kernel k05\n"
      "  lastrow-kernels --template > my.cu; lastrow-kernels --try my.cu\n\n"
      "Exit status:\n"
      "  0   every kernel held its bound\n"
      "  1   a kernel failed\n"
      "  2   bad usage\n"
      "  3   the device no longer answers; call again with the same --journal, or with --continue,\n"
      "      to go on with the next kernel\n"
      "  4   every kernel held its bound, but the seconds ended before all work was done\n"
      "  77  skipped");
  refuse_empty_values(app);
}

}  // namespace lastrow::driver
