#include "lessons/support/lesson.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <new>
#include <sstream>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/checked.h"
#include "io/output_files.h"
#include "io/program_start.h"
#include "io/standard_output.h"
#include "model/config.h"
#include "registry/registry.h"
#include "session/session_cache.h"
#include "trace/named_faults.h"
#include "trace/trace_file.h"

namespace lastrow::lessons {
namespace {

constexpr int kFailed = 1, kError = 2;
constexpr int kLeastContext = 64, kLeastVocab = 11;  // lesson 3 runs to 64 tokens, lesson 5 reads token t10

/// "lesson_04" for messages.
std::string program_name(const About& about) { return fmt::format("lesson_{:02}", about.number); }

/// On standard error.
void tell(const std::string& line) { std::fputs(line.c_str(), stderr); }

int fail(const About& about, std::string message) {
  for (char& c : message)
    if (c == '\n' || c == '\r') c = ' ';
  tell(fmt::format("{}: {}\n", program_name(about), escaped(message)));
  return kError;
}

/// False if --help was asked for, and printed.
bool parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::Success& help) {
    std::ostringstream text;
    app.exit(help, text, text);
    print(text.str());
    return false;
  }
}

std::shared_ptr<const Model> large_enough(std::shared_ptr<const Model> model) {
  const ModelConfig& config = model->config();
  if (config.max_seq_len < kLeastContext || config.vocab_size < kLeastVocab)
    throw UsageError("{} has a context of {} tokens and a vocabulary of {}: lessons need {} and {}",
                     model->source(), config.max_seq_len, config.vocab_size, kLeastContext, kLeastVocab);
  return model;
}

}  // namespace

std::string lacks_layers(const Model& model) {
  return model.config().n_layers > 1 ? "" : "the model has one layer; choose one with several";
}

Lesson::Lesson(About about, Options options)
    : about_(about),
      options_(std::move(options)),
      screen_({.color = options_.color, .silent = options_.json, .cut = !options_.fault.empty()}) {
  // Check everything before anything is printed.
  require_different_files({{"--model", model_file(options_.model)}}, {{"--trace", options_.trace}});
  cache_ = cache_options(options_.cache.empty() ? "contiguous" : options_.cache,
                         options_.kv_dtype.empty() ? "f32" : options_.kv_dtype);
  if (about_.needs_every_row != nullptr && (cache_.window > 0 || forgets_rows(cache_)))
    throw UsageError(
        "--cache {}: this lesson does not take a window or a budget, because {}: use contiguous or paged",
        options_.cache, about_.needs_every_row);
  if (uses_new_positions(cache_))
    throw UsageError(
        "--cache {}: this lesson feeds its prompt in one step, and positions=new takes one token in a step: "
        "choose positions=kept",
        options_.cache);
  if (!options_.trace.empty()) AtomicFile{options_.trace};
  if (!options_.backend.empty()) make_backend(options_.backend);
  if (!options_.fault.empty()) with_fault(options_.fault, make_backend("naive"), 1);
  if (!options_.model.empty()) asked_for_ = large_enough(load_model(options_.model));
  screen_.announce(fmt::format("Lesson {}: {}", about_.number, about_.title), about_.question);
  for (const Fault& fault : faults())
    if (fault.name == options_.fault)
      screen_.announce_also(fmt::format("A bug is built into this run: {} ({}).", fault.name, fault.bug));
}

std::shared_ptr<const Model> Lesson::model(const std::string& own_choice) {
  auto model = asked_for_ ? asked_for_ : load_model(own_choice);
  if (model_name_.empty()) model_name_ = model->source();
  group_size_ = model->config().group_size();
  return model;
}

std::shared_ptr<const Model> Lesson::model_with_rope(const std::string& own_choice) {
  auto chosen = model(own_choice);
  if (!chosen->config().has_rope())
    throw UsageError(
        "{} has no RoPE, which this lesson is about: choose {}, or random:… without arch=gpt2 and alibi",
        chosen->config().name, fmt::join(builtin_model_names(), ", "));
  return chosen;
}

int32_t Lesson::whole_prompt(size_t n_tokens) const {
  return limits_steps(cache_) ? static_cast<int32_t>(n_tokens) : 0;
}

std::unique_ptr<Backend> Lesson::backend(const std::string& own_choice, int32_t group_size) {
  auto backend = make_backend(options_.backend.empty() ? own_choice : options_.backend);
  if (backend_name_.empty()) backend_name_ = backend->info().name;
  return options_.fault.empty()
             ? std::move(backend)
             : with_fault(options_.fault, std::move(backend), group_size > 0 ? group_size : group_size_);
}

std::string Lesson::prompt_for(const Model& model) {
  return model.tokenizer().is_numbered() ? "t1 t2 t3 t4" : "the quick brown fox";
}

std::optional<RecordOptions> Lesson::record() const {
  if (options_.trace.empty()) return {};
  return RecordOptions{.keep = RecordOptions::Keep::all, .probe = true};
}

void Lesson::keep(const DecodeSession& session) {
  backend_name_ = session.backend_info().name;
  if (options_.trace.empty()) {
    kept_ = true;
    return;
  }
  keep(session.recorder(), to_json(session.model().config()),
       {session.tokens().begin(), session.tokens().end()});
}

void Lesson::keep(const Recorder& recorder, const std::string& config_json, std::vector<int32_t> tokens) {
  kept_ = true;
  if (options_.trace.empty()) return;
  trace_ = std::make_unique<AtomicFile>(options_.trace);
  write_trace(*trace_, recorder, {.config_json = config_json, .tokens = std::move(tokens)});
  trace_->finish();
}

std::filesystem::path Lesson::trace_for_another_program() {
  kept_ = true;
  if (options_.trace.empty()) return {};
  auto file = std::make_unique<AtomicFile>(options_.trace);
  if (file->stand_in().empty()) return options_.trace;
  trace_ = std::move(file);
  return trace_->stand_in();
}

bool Lesson::require(bool passed, const std::string& what) {
  screen_.check(passed, what);
  requirements_.push_back({what, passed});
  return passed;
}

void Lesson::figure(const std::string& name, double value) { figures_.emplace_back(name, value); }

void Lesson::found(Finding finding, const std::string& untested) {
  const bool first = findings_.empty() && untested_.empty();
  screen_.say(
      fmt::format("Claim {}{}: “{}”", finding.claim, first ? " (lesson 0)" : "", claim_text(finding.claim)));
  if (!untested.empty()) {
    screen_.say(fmt::format("Not tested in this run: {}.", untested));
    remember_untested(finding.claim, untested);
    if (!finding.shown)
      require(false, fmt::format("the part of claim {} that can be tested holds", finding.claim));
    return;
  }
  const std::string verdict = verdict_text(finding);
  if (finding.shown)
    screen_.check(true, fmt::format("{}. {}", verdict, finding.measured));
  else
    screen_.check(false, fmt::format("this run does not show “{}”: {}", verdict, finding.measured));
  remember(std::move(finding));
}

void Lesson::try_this(const std::vector<std::string>& edits, std::string_view next) {
  screen_.section("Try this");
  for (size_t i = 0; i < edits.size(); ++i) screen_.entry(fmt::format("{}.", i + 1), edits[i]);
  screen_.entry("", fmt::format("Next: {}", next));
}

nlohmann::ordered_json Lesson::report(double seconds) const {
  nlohmann::ordered_json report{{"lesson", about_.number},  {"title", about_.title},   {"model", model_name_},
                                {"backend", backend_name_}, {"fault", options_.fault}, {"passed", passed()},
                                {"seconds", seconds}};
  report["findings"] = nlohmann::ordered_json::array();
  for (const Finding& f : findings_)
    report["findings"].push_back({{"claim", f.claim},
                                  {"text", claim_text(f.claim)},
                                  {"verdict", name_of(f.verdict)},
                                  {"condition", f.condition},
                                  {"shown", f.shown},
                                  {"measured", f.measured}});
  report["untested"] = nlohmann::ordered_json::array();
  for (const auto& [claim, why] : untested_) report["untested"].push_back({{"claim", claim}, {"why", why}});
  report["requirements"] = nlohmann::ordered_json::array();
  for (const Requirement& r : requirements_)
    report["requirements"].push_back({{"what", r.what}, {"passed", r.passed}});
  report["figures"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : figures_)
    report["figures"][name] = std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
  return report;
}

bool Lesson::passed() const {
  const auto holds = [](const auto& list, auto member) {
    return std::all_of(list.begin(), list.end(), [&](const auto& x) { return x.*member; });
  };
  return holds(requirements_, &Requirement::passed) && holds(findings_, &Finding::shown);
}

std::string Lesson::outcome() const {
  if (!passed()) return "A check failed: see ✗ above.";
  return options_.fault.empty() ? "Every check passed."
                                : fmt::format("No check of this lesson notices {}.", options_.fault);
}

int Lesson::end(double seconds) {
  LASTROW_CHECK(kept_ || options_.trace.empty(), "lesson {} never called keep()", about_.number);
  if (options_.json) {
    fmt::print("{}\n", report(seconds).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    const std::string used =
        model_name_.empty() ? "" : fmt::format(" Model {}, backend {}.", model_name_, backend_name_);
    fmt::print("\n");
    for (const std::string& line : wrapped(outcome() + used, kScreenColumns))
      fmt::print("{}\n", screen_.paint(passed() ? Ink::good : Ink::bad, line));
  }
  return passed() ? 0 : kFailed;
}

void Lesson::commit() {
  flush_standard_output();
  if (!trace_) return;
  std::error_code unknown;
  const auto stand_in = trace_->stand_in();
  if (std::filesystem::is_empty(stand_in, unknown)) return;  // the other program wrote no trace
  trace_->commit();
  if (!options_.json) tell(fmt::format("{}: trace in {}\n", program_name(about_), options_.trace.string()));
}

int run_lesson(int argc, char** argv, About about, void (*body)(Lesson&)) {
  static const std::string name = program_name(about);
  start_program(name.c_str());
  Lesson::Options options;
  bool no_color = false;
  CLI::App app{std::string(about.title)};
  app.name(program_name(about));
  app.add_option("--model", options.model,
                 "a built-in model, a file, or random:…; default: the model that the lesson is about");
  app.add_option("--backend", options.backend,
                 backend_names() + "; default: the one that the lesson is about");
  app.add_option(
      "--cache", options.cache,
      std::string(
          "the K/V cache of the sessions that the lesson watches: contiguous or paged[:block=B][,blocks=N]") +
          (about.needs_every_row != nullptr ? "" : ", or one that forgets rows: window:w=W, budget:rows=N"));
  app.add_option("--kv-dtype", options.kv_dtype,
                 "the type of its rows: TYPE, or k=TYPE,v=TYPE; default: f32");
  app.add_option("--trace", options.trace, "write a trace of the run to this file (safetensors)");
  app.add_option("--fault", options.fault, "run with this bug built in: see lesson 11");
  app.add_flag("--json", options.json, "print one JSON object instead of the text");
  app.add_flag("--no-color", no_color, "no colours; also the default if the output is not a terminal");
  if (about.answers) app.add_option("answers", options.answers, about.answers);
  app.footer("Exit status: 0 every check passed, 1 a check failed, 2 the lesson could not run.");
  try {
    if (!parse(app, argc, argv)) return 0;
    for (const CLI::Option* option : app.get_options())
      if (option->count() > 0 && !option->results().empty() && option->results().front().empty())
        throw UsageError("{} needs a value: give one, or leave the option out", option->get_name());
    options.color = !no_color && terminal_with_color();
    const auto start = std::chrono::steady_clock::now();
    Lesson lesson(about, options);
    body(lesson);
    const int status =
        lesson.end(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    lesson.commit();
    return status;
  } catch (const CLI::ParseError& e) {
    return fail(about, fmt::format("{}; see --help", e.what()));
  } catch (const std::bad_alloc&) {
    return fail(about, "not enough memory: choose a smaller --model");
  } catch (const std::exception& e) {
    return fail(about, e.what());
  }
}

}  // namespace lastrow::lessons
