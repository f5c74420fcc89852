// train_fable: makes one of the built-in models, or measures one.
//
//   train_fable --model fable-gqa --out src/model/builtin/fable-gqa.safetensors
//   train_fable --evaluate src/model/builtin/fable-gqa.safetensors
//   train_fable --write 3                                              prints three texts of the grammar
//   train_fable --held-out > src/model/builtin/held-out.txt            the texts of `lastrow eval`
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/number.h"
#include "io/checked.h"
#include "io/output_files.h"
#include "io/program_start.h"
#include "io/standard_output.h"
#include "train/evaluate.h"
#include "train/grammar.h"
#include "train/trainer.h"

namespace {

using namespace lastrow;
using namespace lastrow::train;

constexpr int kTexts = 200, kPrompts = 50, kContinuation = 30;

std::string minutes(double seconds) {
  return fmt::format("{}:{:02d}", static_cast<int>(seconds) / 60, static_cast<int>(seconds) % 60);
}

void print_progress(const Progress& p) {
  fmt::print("step {:5d} of {}   loss {:.4f}   floor {:.4f}   {:+6.1f} %   {} elapsed, {} left\n", p.step,
             p.n_steps, p.loss, p.floor, 100 * (p.loss / p.floor - 1), minutes(p.seconds),
             minutes(p.seconds_left));
  flush_standard_output();  // so that a full disk is an error now, and not after an hour
}

void evaluate(const TrainedModel& model) {
  const Tokenizer& tok = fable_tokenizer();
  const ModelConfig& c = model.layout.config();
  fmt::print("{}: {} parameters, {} query heads on {} K/V heads\norigin: {}\n\n", c.name, model.layout.size(),
             c.n_q_heads, c.n_kv_heads, model.origin);
  const HeldOut h = held_out_loss(model, kTexts);
  fmt::print("held-out loss   {:.4f} nats per token over {} tokens; floor {:.4f}: {:+.1f} %\n", h.loss,
             h.n_tokens, h.floor, 100 * h.excess());
  const Continuations k = continue_prompts(model, kPrompts, kContinuation);
  fmt::print("grammatical     {} of {} greedy continuations of {} tokens\n", k.parsed, k.n, kContinuation);
  for (const std::string& failure : k.failures) fmt::print("  not: {}\n", failure);

  std::vector<HeadScore> heads = look_back(model, kTexts);
  const auto best = [&](const char* what, auto key) {
    const auto b = std::max_element(heads.begin(), heads.end(),
                                    [&](const HeadScore& x, const HeadScore& y) { return key(x) < key(y); });
    fmt::print(
        "{}  layer {} head {}: {:.0f} % of its attention on earlier mentions of a noun (chance {:.0f} %), "
        "{:.0f} % of a name (chance {:.0f} %)\n",
        what, b->layer, b->head, 100 * b->noun, 100 * b->noun_chance, 100 * b->name, 100 * b->name_chance);
  };
  best("best for nouns", [](const HeadScore& x) { return x.noun; });
  best("best for names", [](const HeadScore& x) { return x.name; });
  best("best for both ", [](const HeadScore& x) { return x.weaker(); });
  fmt::print("\n");
  for (const char* prompt :
       {"the quick brown fox", "the brown dog fights the black",
        "a fox named zorbu jumps over the lazy dog. then the dog barks. then",
        "a small cat named mila follows the old horse. the horse runs to the river. m"}) {
    const std::vector<int32_t> ids = tok.encode(prompt);
    const std::vector<int32_t> text = continue_greedily(model, ids, kContinuation);
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(ids.size());
    fmt::print("{} | {}\n", prompt, tok.decode(std::vector(begin, text.end())));
  }
}

void require_valid(const TrainOptions& o) {
  const auto require = [](const char* name, auto value, bool holds, const char* range) {
    if (!holds) throw UsageError("{} is {}: it must be {}", name, value, range);
  };
  require("--steps", o.adamw.n_steps, o.adamw.n_steps >= 1, "at least 1");
  require("--batch", o.batch, o.batch >= 1 && o.batch <= 4096, "1 to 4096");
  require("--threads", o.n_threads, o.n_threads >= 1 && o.n_threads <= 256, "1 to 256");
  require("--rate", o.adamw.rate, o.adamw.rate > 0 && o.adamw.rate < 1, "between 0 and 1");
  require("--first-part", o.first_part, o.first_part >= 0 && o.first_part <= 1, "0 to 1");
  if (o.seed == kHeldOutSeed)
    throw UsageError("--seed {} is the seed of the held-out texts: choose another one", kHeldOutSeed);
}

TrainedModel train_model(const std::string& name, const TrainOptions& options) {
  const ParameterLayout layout(fable_config(name));
  fmt::print("{}: {} parameters, {} steps of {} × {} tokens, {} threads, seed {}\n", name, layout.size(),
             options.adamw.n_steps, options.batch, options.seq_len, options.n_threads, options.seed);
  TrainedModel model{layout, round_to_half(fit(layout, options, print_progress)), ""};
  const HeldOut h = held_out_loss(model, kTexts);
  model.origin = nlohmann::ordered_json{{"trainer", "lessons/train"},
                                        {"seed", options.seed},
                                        {"steps", options.adamw.n_steps},
                                        {"batch", options.batch},
                                        {"seq_len", options.seq_len},
                                        {"first_seq_len", options.first_seq_len},
                                        {"first_part", options.first_part},
                                        {"threads", options.n_threads},
                                        {"rate", options.adamw.rate},
                                        {"held_out_loss_nats", h.loss},
                                        {"floor_nats", h.floor}}
                     .dump();
  return model;
}

/// Trains a model, writes it to `out` and measures it. The file appears only after everything is printed.
void train_to_file(const std::string& name, const std::string& out, const TrainOptions& options) {
  AtomicFile{out};  // refuses a place that cannot be written, before the training
  const TrainedModel model = train_model(name, options);
  AtomicFile file(out);
  save(file, model.layout, model.params, model.origin);
  file.finish();
  evaluate(model);
  flush_standard_output();
  file.commit();
}

int run(int argc, char** argv) {
  CLI::App app{"Trains the built-in models on fables, and measures them."};
  std::string name, out, measured;
  TrainOptions options;
  int texts = 0;
  bool held_out = false;
  app.add_option("--model", name, "fable-mha, fable-gqa or fable-mqa");
  app.add_option("--out", out, "the safetensors file to write");
  app.add_option("--steps", options.adamw.n_steps, "optimizer steps")->capture_default_str();
  app.add_option("--batch", options.batch, "sequences per step")->capture_default_str();
  app.add_option("--first-part", options.first_part, "share of the steps that use short texts")
      ->capture_default_str();
  app.add_option("--rate", options.adamw.rate, "largest learning rate")->capture_default_str();
  app.add_option("--seed", options.seed, "the seed of the weights and the texts")->capture_default_str();
  app.add_option("--threads", options.n_threads, "the same number of threads gives the same bits")
      ->capture_default_str();
  app.add_option("--evaluate", measured, "a model file to measure");
  app.add_option("--write", texts, "print this number of texts of the grammar");
  app.add_flag("--held-out", held_out, "print the texts that the library carries for `lastrow eval`");
  read_options_in_decimal(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    print(app.help());
    return 0;
  } catch (const CLI::ParseError& e) {
    throw UsageError("{}; see --help", e.what());
  }
  if (name.empty() && measured.empty() && texts == 0 && !held_out)
    throw UsageError("nothing to do: give --model NAME --out FILE, --evaluate FILE, --write N or --held-out");
  if (!name.empty()) {
    require_valid(options);
    if (out.empty()) throw UsageError("--model {} needs --out FILE", name);
    require_different_files({{"--evaluate", measured}}, {{"--out", out}});
    train_to_file(name, out, options);
  }
  if (!measured.empty()) evaluate(load(measured));
  for (int i = 0; i < texts; ++i) {
    Random random(options.seed, static_cast<uint64_t>(i));
    const Sample s = write(options.seq_len, random);
    fmt::print("{}\n[{} tokens, {:.3f} nats each]\n\n", fable_tokenizer().decode(s.tokens), s.tokens.size(),
               s.floor());
  }
  if (held_out) print(held_out_file());
  flush_standard_output();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  lastrow::start_program("train_fable");
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "train_fable: {}\n", escaped(e.what()));
    return 2;
  }
}
