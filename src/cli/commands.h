// The subcommands of `lastrow`. Each function adds one of them, with its options, help and example.
//
//   CLI::App app;
//   add_generate(app);   …
//   app.parse(argc, argv);      also runs the chosen subcommand
//
// A subcommand throws Error for everything that the user can repair. main prints that as one line and exits
// with status 2. Each subcommand works in this order:
//
//   1. check every option and every output file
//   2. compute
//   3. write the files (AtomicFile::finish)
//   4. print the result
//   5. commit the files
//
// So an error at any point, also of standard output, leaves existing files unchanged.
// Standard output gets only the result; with --json that is one JSON object. All other text goes to standard
// error (terminal.h).
#pragma once

namespace CLI {
class App;
}

namespace lastrow::cli {

void add_generate(CLI::App& app);
void add_attend(CLI::App& app);
void add_eval(CLI::App& app);
void add_memory(CLI::App& app);
void add_info(CLI::App& app);

}  // namespace lastrow::cli
