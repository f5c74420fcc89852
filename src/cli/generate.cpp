// `lastrow generate`: text from a model. One text (generate_prompt.h), or a text for every line of a file
// (generate_prompts.h).
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/generate_options.h"
#include "cli/generate_prompt.h"
#include "cli/generate_prompts.h"

namespace lastrow::cli {

void add_generate(CLI::App& app) {
  CLI::App* sub =
      app.add_subcommand("generate", "Generate text with the K/V cache, without it, or both ways");
  const auto o = std::make_shared<GenerateOptions>();
  add_options(*sub, *o);
  sub->callback([o] {
    require_consistent(*o);
    if (o->many())
      generate_prompts(*o);
    else
      generate_prompt(*o);
  });
}

}  // namespace lastrow::cli
