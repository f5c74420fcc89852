// The subcommands of `lastrow`: each adds itself to the application, its options, help and example included.
//
//   CLI::App app;   add_generate(app);   …   app.parse(argc, argv);
//
// What a subcommand does runs inside parse(). It throws Error for whatever the user can mend; main prints
// that as one line and exits with 2. Order inside each: check every option and every output file; work;
// write the files (AtomicFile::finish); print; commit the files. So an error, also one of standard output,
// leaves existing files as they were.
// Standard output carries the result, and with --json nothing but one JSON object; everything else that is
// said goes to standard error (terminal.h).
#pragma once

namespace CLI {
class App;
}

namespace lastrow::cli {

void add_generate(CLI::App& app);
void add_attend(CLI::App& app);
void add_memory(CLI::App& app);
void add_info(CLI::App& app);

}  // namespace lastrow::cli
