// `lastrow`: generate, attend, memory and info on the command line.
#include <CLI/CLI.hpp>
#include <new>
#include <sstream>

#include "cli/commands.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/number.h"
#include "io/program_start.h"

namespace {

constexpr int kExitError = 2;

int fail(std::string_view message) {
  lastrow::cli::print_error(message);
  return kExitError;
}

/// "lastrow generate --help", for whichever subcommand the arguments have reached.
std::string help_of(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? "lastrow --help" : "lastrow " + chosen.front()->get_name() + " --help";
}

/// What is wrong with the arguments. CLI11 says that a command is missing when one is unknown.
std::string usage_error(const CLI::App& app, const CLI::ParseError& e) {
  const auto unknown = app.remaining();
  if (!app.get_subcommands().empty()) return fmt::format("{}; see `{}`", e.what(), help_of(app));
  return fmt::format("{}; use generate, attend, memory or info, or see `lastrow --help`",
                     unknown.empty() ? "no command given" : "unknown command '" + unknown.front() + "'");
}

/// Runs the command, or prints what --help or --version ask for.
void parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    std::ostringstream text;
    app.exit(help_or_version, text, text);
    lastrow::print(text.str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  lastrow::start_program("lastrow");
  CLI::App app{"Runs, compares and measures attention over a transformer's K/V cache."};
  app.name("lastrow");
  app.set_version_flag("--version", LASTROW_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Example:\n  lastrow generate --prompt \"the quick brown fox\" --mode both\n\n"
      "`lastrow COMMAND --help` explains a command. On an error one line on standard error says what to do,\n"
      "the exit status is 2, and existing files are as they were.");
  lastrow::cli::add_generate(app);
  lastrow::cli::add_attend(app);
  lastrow::cli::add_memory(app);
  lastrow::cli::add_info(app);
  for (CLI::App* const command : app.get_subcommands(nullptr)) lastrow::read_options_in_decimal(*command);

  try {
    parse(app, argc, argv);
    return 0;
  } catch (const CLI::ParseError& e) {
    return fail(usage_error(app, e));
  } catch (const lastrow::Error& e) {
    return fail(e.what());
  } catch (const std::bad_alloc&) {
    return fail("not enough memory; use a smaller model, context or file");
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}
