// `lastrow generate`: text from a model, with the K/V cache, without it, or both compared.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/backend_flags.h"
#include "cli/commands.h"
#include "cli/generate_report.h"
#include "cli/terminal.h"
#include "cli/trace_outputs.h"
#include "core/error.h"
#include "core/memory_limit.h"
#include "model/decoder.h"

namespace lastrow::cli {
namespace {

struct GenerateOptions {
  std::string model = "fable-mha", prompt, mode = "cached", kv_dtype = "f32";
  BackendFlags backend;
  int32_t n_tokens = 20;
  SamplingOptions sampling;
  TraceOutputs outputs;
  bool json = false;
};

std::vector<Mode> modes_of(const std::string& name) {
  if (name == "cached") return {Mode::cached};
  if (name == "recompute") return {Mode::recompute};
  if (name == "both") return {Mode::cached, Mode::recompute};
  throw UsageError("unknown mode '{}': use cached, recompute or both", name);
}

std::shared_ptr<const Model> load(const std::string& name) {
  const Progress progress("loading " + name);
  return load_model(name);
}

/// Prints what each new token adds to the text that stands there already.
class Stream {
 public:
  explicit Stream(const GenerateReport& report) : report_(report) {}
  void show(const ModeRun& run) {
    const std::string text = text_of(report_, run);
    print(std::string_view(text).substr(printed_));
    printed_ = text.size();
  }

 private:
  const GenerateReport& report_;
  size_t printed_ = 0;
};

ModeRun run_mode(const GenerateOptions& o, DecodeSession& session, const GenerateReport& report,
                 DType kv_dtype, bool stream) {
  if (stream) {
    Stream out(report);
    ModeRun run = generate(session, report.prompt, o.n_tokens, kv_dtype,
                           [&](const ModeRun& so_far) { out.show(so_far); });
    print("\n");
    return run;
  }
  Progress progress(name_of(session.mode()));
  return generate(session, report.prompt, o.n_tokens, kv_dtype, [&](const ModeRun& so_far) {
    progress.at(static_cast<int64_t>(so_far.tokens.size()), o.n_tokens);
  });
}

/// In what the backend keeps K and V: the double-precision one widens what would be f32.
DType stored_as(DType kv_dtype, const BackendInfo& backend) {
  return kv_dtype == DType::f32 && backend.activation_dtype == DType::f64 ? DType::f64 : kv_dtype;
}

/// What a session of the mode will hold of the host's memory, asked for before any of it is allocated.
void require_room(const Model& model, const BackendInfo& backend, Mode mode, DType kv_dtype) {
  if (!backend.in_host_memory) return;
  const ModelConfig& c = model.config();
  const DType activations = backend.activation_dtype;
  const CacheSpec cache = cache_spec(mode == Mode::cached ? CacheOptions{.dtype = kv_dtype} : CacheOptions{},
                                     {.n_layers = c.n_layers,
                                      .n_kv_heads = c.n_kv_heads,
                                      .head_dim = c.head_dim,
                                      .max_seq_len = c.max_seq_len});
  int64_t cache_bytes = cache.bytes();
  if (stored_as(cache.dtype, backend) == DType::f64) cache_bytes *= 2;
  constexpr int64_t kBesideNumbersOfLayer = 2048;  // nine weights, K and V: tensors and alignment
  require_memory(Decoder::bytes(c, activations) + Workspace::bytes(c, activations, c.max_seq_len, 1) +
                     cache_bytes + c.n_layers * kBesideNumbersOfLayer,
                 fmt::format("{} with its context of {} tokens", c.name, c.max_seq_len),
                 "use a smaller model or a shorter context");
}

void note_full_context(const GenerateReport& report, const GenerateOptions& o, int32_t context) {
  const ModeRun& run = report.runs.front();
  if (run.context_full)
    note(fmt::format("the context of {} tokens is full after {} of {}; what was generated is kept", context,
                     run.tokens.size(), o.n_tokens));
}

void print_text(const GenerateReport& report, const std::string& simt_report) {
  if (report.runs.size() == 2) {
    print(text_of(report, report.runs[0]) + "\n");
    if (!compare(report.runs[0], report.runs[1]).tokens_equal) print(text_of(report, report.runs[1]) + "\n");
  }
  print(fmt::format("\n{}{}", as_table(report), simt_report));
}

void note_stored_rows(const StoredRows& rows, DType kv_dtype) {
  if (rows.n_not_finite > 0)
    note(
        fmt::format("{} stored elements are NaN or infinite, first in {}: either they do not fit {}, or "
                    "they were NaN or infinite before they were stored",
                    rows.n_not_finite, rows.first, kv_dtype_name(kv_dtype)));
  if (rows.n_at_limit > 0)
    note(fmt::format("{} stored elements are ±448, where fp8 saturates: larger values are cut to it",
                     rows.n_at_limit));
}

void run(const GenerateOptions& o) {
  const std::vector<Mode> modes = modes_of(o.mode);
  if (o.n_tokens < 1) throw UsageError("--tokens {}: ask for at least 1", o.n_tokens);
  if (o.json && o.backend.reports())
    throw UsageError("--simt-report prints tables, --json one object: drop one of them");
  o.outputs.require_writable({{"--model", file_of_model(o.model)}}, modes);
  const DType kv_dtype = kv_dtype_from_name(o.kv_dtype);
  const BackendInfo backend = o.backend.make()->info();  // refuses what cannot be used, before loading
  const std::string stored =
      stored_as(kv_dtype, backend) == DType::f64 ? "f64" : std::string(kv_dtype_name(kv_dtype));
  const auto model = load(o.model);
  GenerateReport report{.model = o.model,
                        .backend = o.backend.name(),
                        .kv_dtype = stored,
                        .tokenizer = &model->tokenizer(),
                        .prompt = model->tokenizer().encode(o.prompt)};
  const bool stream = modes.size() == 1 && !o.json;
  std::vector<std::unique_ptr<DecodeSession>> sessions;
  std::string simt_report;
  for (const Mode mode : modes) {
    require_room(*model, backend, mode, kv_dtype);
    auto made = o.backend.make();
    const Backend& used = *made;
    sessions.push_back(std::make_unique<DecodeSession>(model, std::move(made),
                                                       SessionOptions{.mode = mode,
                                                                      .sampling = o.sampling,
                                                                      .record = o.outputs.record_options(),
                                                                      .cache = {.dtype = kv_dtype}}));
    report.runs.push_back(run_mode(o, *sessions.back(), report, kv_dtype, stream));
    simt_report += o.backend.report(used);
    report.runs.back().stored = check_stored_rows(*sessions.back(), kv_dtype);
    note_stored_rows(report.runs.back().stored, kv_dtype);
    if (!o.outputs.wanted()) sessions.clear();  // its copy of the weights is no longer needed
  }
  WrittenTraces written = o.outputs.write(report.runs, sessions);
  note_full_context(report, o, model->config().max_seq_len);
  if (o.json)
    print_json(as_json(report));
  else
    print_text(report, simt_report);
  written.commit();
}

constexpr const char* kFooter =
    "A model of random weights is random:KEY=VALUE,… with any of layers q_heads kv_heads head_dim model_dim "
    "ffn\n"
    "vocab context seed arch (llama or gpt2), for example "
    "random:layers=4,q_heads=8,kv_heads=2,head_dim=64,seed=1.\n\n"
    "A trace holds one mode: with --mode both, run.safetensors is the cached one, run.recompute.safetensors "
    "the\n"
    "other. Recorded steps are slower: their times are those of steps that are watched.\n\n"
    "--kv-dtype is the type that the cache stores K and V in: f16, bf16 and fp8 (e4m3) round each element; "
    "int8\n"
    "has a scale for each row of a K/V head. Recompute has no cache: its scratch is f32 whatever is "
    "given.\n\n"
    "With --json: model, backend, kv_dtype (as stored), prompt_tokens (ids), tokens_equal, "
    "max_abs_logit_diff (both "
    "null\n"
    "unless --mode both), context_full, and modes: {cached|recompute: {text (prompt included), tokens (ids\n"
    "chosen), stored_not_finite and stored_at_limit (elements of K and V at the end that are NaN or "
    "infinite,\n"
    "and in fp8 that are ±448, where it saturates), steps; where the backend has a choice of kernels "
    "attend_kernel, of the last step, and\n"
    "steps_replayed: how many ran as the record of an earlier one}}.\n"
    "Step 0 is the prefill; step i chooses token i. Of each step: position (of its last token), phase, "
    "q_len\n"
    "(tokens fed), kv_len (keys its last token sees); over all layers q_rows and kv_rows_projected (rows of "
    "K,\n"
    "and as many of V); over all layers and query heads score_cells; cache_bytes_read and "
    "cache_bytes_written\n"
    "(cached) or kv_scratch_bytes (recompute: the same traffic, of a store emptied before each step); flop;\n"
    "wall_us.\n\n"
    "Example:\n"
    "  lastrow generate --model fable-gqa --prompt \"the quick brown fox\" --tokens 20 --mode both";

}  // namespace

void add_generate(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("generate", "Text from a model: with the K/V cache, without, or both");
  const auto o = std::make_shared<GenerateOptions>();
  sub->add_option(
      "--model", o->model,
      "Built-in NAME (see `lastrow info`), FILE.safetensors, or random:… (below); default fable-mha");
  sub->add_option("--prompt", o->prompt, "The text to continue")->required();
  sub->add_option("--tokens", o->n_tokens, "How many tokens to generate; default 20");
  sub->add_option("--mode", o->mode,
                  "cached, recompute, or both (each runs freely, then compared); default cached");
  o->backend.add_to(*sub);
  sub->add_option(
      "--kv-dtype", o->kv_dtype,
      "Of the cache's K and V: f32, f16, bf16, fp8 or int8; default f32 (naive-f64: kept in f64)");
  sub->add_option("--temperature", o->sampling.temperature, "0 (default): the likeliest token; above: drawn");
  sub->add_option("--top-k", o->sampling.top_k, "Draw from the k likeliest only; 0 (default): from all");
  sub->add_option("--seed", o->sampling.seed, "Of the draws; default 1")->check(require_uint64);
  sub->add_option("--trace", o->outputs.trace, "Record every step to this safetensors file (below)");
  sub->add_option("--chrome-trace", o->outputs.chrome_trace,
                  "Write timing as JSON that ui.perfetto.dev opens");
  sub->add_flag("--json", o->json, "One JSON object on standard output");
  sub->footer(kFooter);
  refuse_empty_values(*sub);
  sub->callback([o] { run(*o); });
}

}  // namespace lastrow::cli
