// The program `lastrow`, with the commands generate, attend, eval, memory and info.
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

/// The command that shows the help, "lastrow generate --help" for example.
std::string help_command(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? "lastrow --help" : "lastrow " + chosen.front()->get_name() + " --help";
}

/// The message for wrong arguments. For an unknown command CLI11 itself says that the command is missing.
std::string usage_error(const CLI::App& app, const CLI::ParseError& e) {
  const auto unknown = app.remaining();
  if (dynamic_cast<const CLI::ConversionError*>(&e) != nullptr)
    return fmt::format("{}: it is not a number, or it is too large; see `{}`", e.what(), help_command(app));
  if (!app.get_subcommands().empty()) return fmt::format("{}; see `{}`", e.what(), help_command(app));
  return fmt::format("{}; use generate, attend, eval, memory or info, or see `lastrow --help`",
                     unknown.empty() ? "no command given" : "unknown command '" + unknown.front() + "'");
}

/// Runs the command, or prints the text for --help or --version.
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
  CLI::App app{"Run, compare and measure attention over the K/V cache of a transformer."};
  app.name("lastrow");
  app.set_version_flag("--version", LASTROW_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Example:\n  lastrow generate --prompt \"the quick brown fox\" --mode both\n\n"
      "`lastrow COMMAND --help` explains a command. On an error, one line on standard error says what to\n"
      "do, the exit status is 2, and existing files stay unchanged.");
  lastrow::cli::add_generate(app);
  lastrow::cli::add_attend(app);
  lastrow::cli::add_eval(app);
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
