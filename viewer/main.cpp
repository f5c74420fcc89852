// `lastrow-viewer`: shows a decoder with a K/V cache beside the same decoder without one, step by step.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "cache/make_cache.h"
#include "core/error.h"
#include "core/number.h"
#include "io/checked.h"
#include "io/program_start.h"
#include "io/standard_output.h"
#include "registry/registry.h"
#include "viewer/app/app.h"
#include "viewer/view_model/describe/sampling.h"

namespace {

constexpr int kUsageExit = 2;

/// "1440x900"
void parse_size(const std::string& text, lastrow::ui::AppOptions& options) {
  const std::string_view both = text;
  const size_t at = std::min(both.find('x'), both.size());
  const auto width = lastrow::whole_number<int>(both.substr(0, at));
  const auto height = lastrow::whole_number<int>(both.substr(std::min(at + 1, both.size())));
  if (!width || !height) throw lastrow::UsageError("--size {}: give width and height, as in 1440x900", text);
  options.width = *width;
  options.height = *height;
}

/// "" if the text is a decode step, else what to write.
std::string whole_steps(const std::string& text) {
  const auto step = lastrow::whole_number<int>(text);
  return step && *step >= 0
             ? ""
             : fmt::format("{} is not a whole number in decimal digits: give a decode step, 0 or more", text);
}

std::string seconds_to_run(const std::string& text) {
  char* end = nullptr;
  const double seconds = std::strtod(text.c_str(), &end);
  const bool number = !text.empty() && *end == 0 && seconds >= 0 && seconds <= 1e9;  // NaN is neither
  return number ? "" : fmt::format("{}: give a number of seconds, 0 or more", text);
}

/// What the command line says. The texts are options that are read after all of it is parsed.
struct Arguments {
  lastrow::ui::AppOptions options;
  std::string theme = "light", size, temperature = "0", seed = "1";
  std::string cache = "contiguous", kv_dtype = "f32";
};

/// The options that choose what to run: model, prompt, backend, cache, sampling.
void add_model_options(CLI::App& app, Arguments& arguments) {
  lastrow::ui::AppOptions& options = arguments.options;
  app.add_option("--model", options.controller.model, "built-in name, model file, or random:…")
      ->capture_default_str();
  app.add_option("--prompt", options.controller.prompt, "the text to start from")->capture_default_str();
  app.add_option("--backend", options.controller.backend,
                 lastrow::backend_names() + "; cuda-emulated:k05 names the kernel")
      ->capture_default_str();
  app.add_option("--cache", arguments.cache,
                 "the cache of the left side, as in lastrow generate: contiguous[:window=W][,sinks=N], "
                 "paged[:block=B][,blocks=N], window[:w=W][,sinks=N][,positions=kept|new][,block=B], or "
                 "budget:rows=N[,policy=oldest|sinks|heavy|random][,sinks=N][,seed=N]")
      ->capture_default_str();
  app.add_option("--kv-dtype", arguments.kv_dtype,
                 "the type of its K and V: f32, f16, bf16, fp8, int8, int4 or fp4, with --cache paged also "
                 "int8-channel (K only; V is then int8), or k=TYPE,v=TYPE")
      ->capture_default_str();
  app.add_option("--temperature", arguments.temperature,
                 "how random the next token is, 0 to 2; 0 takes the most probable token")
      ->capture_default_str();
  app.add_option("--seed", arguments.seed,
                 "the seed of the random choice of tokens; not used at temperature 0")
      ->capture_default_str();
}

/// The options that choose what is shown, and what is written.
void add_screen_options(CLI::App& app, Arguments& arguments) {
  lastrow::ui::AppOptions& options = arguments.options;
  app.add_option("--step", options.controller.step, "the decode step to open on; 0 is prefill")
      ->capture_default_str()
      ->check(whole_steps);
  app.add_option("--theme", arguments.theme, "light or dark")
      ->capture_default_str()
      ->check(CLI::IsMember({"light", "dark"}));
  app.add_option("--size", arguments.size, "size of the window or of pictures, WIDTHxHEIGHT (1440x900)");
  app.add_option("--speed", options.controller.speed, "speed of the animation")
      ->capture_default_str()
      ->check(CLI::Range(0.25, 4.0));
  app.add_flag("--reduced-motion", options.controller.reduced_motion, "no animation");
  app.add_option("--script", options.script,
                 "play the commands in this file; in a window, a sentence stays until Enter");
  app.add_flag("--headless", options.headless,
               "no window: write the pictures and states of the script; without a script, a picture per "
               "sentence of the tour");
  app.add_option("--out", options.out, "folder for pictures and states")->capture_default_str();
  app.add_option("--watch", options.watch,
                 "always keep the state that is on the screen in this file, as JSON");
  app.add_option("--seconds", options.seconds, "close the window after this many seconds")
      ->check(seconds_to_run);
}

/// Reads the texts into the options.
void finish(Arguments& arguments) {
  lastrow::ui::AppOptions& options = arguments.options;
  using lastrow::view::Theme;
  options.controller.theme = arguments.theme == "dark" ? Theme::dark : Theme::light;
  options.controller.sampling = lastrow::view::sampling_from(arguments.temperature, arguments.seed);
  options.controller.cache = lastrow::cache_options(arguments.cache, arguments.kv_dtype);
  if (options.out.empty()) throw lastrow::UsageError("--out is empty: name a folder, or . for this one");
  if (!arguments.size.empty()) parse_size(arguments.size, options);
}

int run(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Watch a decoder with its K/V cache beside the same decoder without one."};
  app.name("lastrow-viewer");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  add_model_options(app, arguments);
  add_screen_options(app, arguments);
  lastrow::read_options_in_decimal(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    lastrow::print(app.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    throw lastrow::UsageError("{}; --help lists the options", error.what());
  }
  finish(arguments);
  const bool plays_tour = arguments.options.headless && arguments.options.script.empty();
  for (const char* option : {"--model", "--prompt", "--cache", "--kv-dtype"})
    if (plays_tour && app.count(option) > 0)
      lastrow::say_note(
          fmt::format("the tour sets its own model, prompt and cache, so {} is not used: give --script FILE "
                      "to play your own commands",
                      option));
  if (plays_tour) arguments.options.controller.cache = {};
  return lastrow::ui::run(arguments.options);
}

}  // namespace

int main(int argc, char** argv) {
  lastrow::start_program("lastrow-viewer");
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "lastrow-viewer: {}\n", lastrow::escaped(error.what()));
    return kUsageExit;
  }
}
