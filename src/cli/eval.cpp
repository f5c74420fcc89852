// `lastrow eval`: what a cache that rounds or forgets costs in quality.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/arguments.h"
#include "cli/cache_flags.h"
#include "cli/commands.h"
#include "cli/eval_help.h"
#include "cli/eval_report.h"
#include "cli/eval_rows.h"
#include "cli/eval_texts.h"
#include "cli/generate_prompt.h"
#include "cli/memory_check.h"
#include "cli/terminal.h"
#include "core/error.h"

namespace lastrow::cli {
namespace {

struct EvalOptions {
  std::string model = "fable-mha", text;
  CacheFlags cache;
  BackendFlags backend;
  std::optional<int32_t> n_texts;
  bool all = false, json = false;
};

EvalTexts find_texts(const EvalOptions& o, const Model& model) {
  EvalTexts texts = o.text.empty() ? builtin_texts(model) : read_eval_texts(o.text, model);
  if (o.n_texts && static_cast<size_t>(*o.n_texts) < texts.texts.size())
    texts.texts.resize(static_cast<size_t>(*o.n_texts));
  return texts;
}

/// The rows of the table; without --json each one is printed when it is measured.
void measure_all(const EvalOptions& o, EvalJob& job, const std::vector<EvalRow>& rows, EvalReport& report) {
  const auto show = [&](const std::string& text) {
    if (!o.json) job.print(text);
  };
  show(heading(report) + table_head(report));
  for (const EvalRow& row : rows) {
    report.results.push_back(job.try_measure(row));
    show(table_row(report, report.results.back()));
  }
  show(int8_claim(report));
}

void run(const EvalOptions& o) {
  if (o.n_texts && *o.n_texts < 1) throw UsageError("--texts {}: at least 1 is predicted", *o.n_texts);
  if (o.backend.reports())
    throw UsageError("--simt-report counts one generation: use it with `lastrow generate`");
  const CacheOptions cache = o.cache.options();
  const BackendInfo backend = o.backend.make()->info();  // refuses an unusable backend before loading
  const auto model = load_with_progress(o.model);
  const EvalTexts texts = find_texts(o, *model);
  const std::vector<EvalRow> rows =
      o.all ? all_rows(model->config().max_seq_len)
            : std::vector<EvalRow>{{.cache = name_of(cache), .kv_dtype = kv_dtypes_name(cache.dtypes())}};
  EvalReport report{.model = o.model,
                    .backend = o.backend.name(),
                    .text = o.text,
                    .stores_f64 = backend.activation_dtype == DType::f64,
                    .texts = &texts.texts,
                    .tokenizer = &model->tokenizer()};
  if (!o.all) require_room(*model, backend, {.cache = cache, .chunk = 1});  // before the reference is run
  for (const std::string& text : texts.notes) note(text);
  std::optional<EvalJob> job(std::in_place, model, texts.texts, o.backend, std::ssize(rows));
  report.reference = &job->reference();
  report.reference_bytes = job->reference_bytes();
  if (o.all) {
    measure_all(o, *job, rows, report);
  } else {
    report.results.push_back(job->measure(rows.front()));
    if (!o.json) job->print(heading(report) + as_text(report, report.results.front()));
  }
  const nlohmann::ordered_json json = as_json(report);
  job.reset();
  if (o.json) print_json(json);
}

}  // namespace

void add_eval(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("eval", "Measure what a cache costs in quality: perplexity, KL, flips");
  const auto o = std::make_shared<EvalOptions>();
  sub->add_option("--model", o->model,
                  "A built-in model (see `lastrow info`), FILE.safetensors, or random:…; default fable-mha");
  o->cache.add_to(*sub);
  o->backend.add_to(*sub);
  sub->add_option("--text", o->text, "Predict the texts of this file; - is standard input");
  sub->add_option("--texts", o->n_texts, "Predict only this many texts, the first ones");
  sub->add_flag("--all", o->all, "Measure all types and caches (see below)");
  sub->add_flag("--json", o->json, "Print one JSON object on standard output");
  sub->footer(kEvalHelp);
  refuse_empty_values(*sub);
  sub->callback([o, sub] {
    if (o->all && sub->count("--cache") + sub->count("--kv-dtype") > 0)
      throw UsageError("--all has its own list of caches and types: leave out --cache and --kv-dtype");
    run(*o);
  });
}

}  // namespace lastrow::cli
