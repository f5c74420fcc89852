// `lastrow generate`: text from a model, with the K/V cache or without it, or a comparison of both.
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

std::vector<Mode> modes_from_name(const std::string& name) {
  if (name == "cached") return {Mode::cached};
  if (name == "recompute") return {Mode::recompute};
  if (name == "both") return {Mode::cached, Mode::recompute};
  throw UsageError("unknown mode '{}': use cached, recompute or both", name);
}

std::shared_ptr<const Model> load(const std::string& name) {
  const Progress progress("loading " + name);
  return load_model(name);
}

/// Prints the text token by token: each call prints only what the new token adds.
class Stream {
 public:
  explicit Stream(const GenerateReport& report) : report_(report) {}
  void show(const ModeRun& run) {
    const std::string text = full_text(report_, run);
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

/// The type that the backend really stores. naive-f64 stores f64 instead of f32.
DType stored_as(DType kv_dtype, const BackendInfo& backend) {
  return kv_dtype == DType::f32 && backend.activation_dtype == DType::f64 ? DType::f64 : kv_dtype;
}

/// Checks, before anything is allocated, that the host has enough memory for a session of this mode.
void require_room(const Model& model, const BackendInfo& backend, Mode mode, DType kv_dtype) {
  if (!backend.in_host_memory) return;
  const ModelConfig& c = model.config();
  const DType activations = backend.activation_dtype;
  const CacheSpec cache = cache_spec(
      mode == Mode::cached ? CacheOptions{.dtype_k = kv_dtype, .dtype_v = kv_dtype} : CacheOptions{},
      {.n_layers = c.n_layers,
       .n_kv_heads = c.n_kv_heads,
       .head_dim = c.head_dim,
       .max_seq_len = c.max_seq_len});
  int64_t cache_bytes = cache.bytes();
  if (stored_as(cache.dtype_k, backend) == DType::f64) cache_bytes *= 2;
  constexpr int64_t kLayerOverheadBytes = 2048;  // the Tensor objects and alignment of nine weights, K and V
  require_memory(Decoder::bytes(c, activations) + Workspace::bytes(c, activations, c.max_seq_len, 1) +
                     cache_bytes + c.n_layers * kLayerOverheadBytes,
                 fmt::format("{} with its context of {} tokens", c.name, c.max_seq_len),
                 "use a smaller model or a shorter context");
}

void note_full_context(const GenerateReport& report, const GenerateOptions& o, int32_t context) {
  const ModeRun& run = report.runs.front();
  if (run.context_full)
    note(fmt::format("the context of {} tokens is full after {} of {} new tokens; the text so far is kept",
                     context, run.tokens.size(), o.n_tokens));
}

void print_text(const GenerateReport& report, const std::string& simt_report) {
  if (report.runs.size() == 2) {
    print(full_text(report, report.runs[0]) + "\n");
    if (!compare(report.runs[0], report.runs[1]).tokens_equal)
      print(full_text(report, report.runs[1]) + "\n");
  }
  print(fmt::format("\n{}{}", as_table(report), simt_report));
}

void note_stored_rows(const StoredRows& rows, DType kv_dtype) {
  if (rows.n_not_finite > 0)
    note(fmt::format(
        "{} stored elements are NaN or infinite, the first in {}: either they do not fit in {}, or "
        "they were NaN or infinite before they were stored",
        rows.n_not_finite, rows.first, kv_dtype_name(kv_dtype)));
  if (rows.n_at_limit > 0)
    note(fmt::format("{} stored elements are ±448, the limit of fp8: it stores larger values as ±448",
                     rows.n_at_limit));
}

void run(const GenerateOptions& o) {
  const std::vector<Mode> modes = modes_from_name(o.mode);
  if (o.n_tokens < 1) throw UsageError("--tokens {}: ask for at least 1", o.n_tokens);
  if (o.json && o.backend.reports())
    throw UsageError("--simt-report prints tables, but --json prints one object: use only one of them");
  o.outputs.require_writable({{"--model", model_file(o.model)}}, modes);
  const DType kv_dtype = kv_dtype_from_name(o.kv_dtype);
  const BackendInfo backend = o.backend.make()->info();  // refuses an unusable backend before loading
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
    sessions.push_back(
        std::make_unique<DecodeSession>(model, std::move(made),
                                        SessionOptions{.mode = mode,
                                                       .sampling = o.sampling,
                                                       .record = o.outputs.record_options(),
                                                       .cache = {.dtype_k = kv_dtype, .dtype_v = kv_dtype}}));
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
    R"(A model with random weights is random:KEY=VALUE,… with any of the keys layers, q_heads, kv_heads,
head_dim, model_dim, ffn, vocab, context, seed and arch (llama or gpt2). For example:
random:layers=4,q_heads=8,kv_heads=2,head_dim=64,seed=1

A trace file holds one mode. With --mode both, run.safetensors holds the cached mode, and the file
run.recompute.safetensors holds the other. Recording makes the steps slower, and their times larger.

--kv-dtype is the type in which the cache stores K and V. f16, bf16 and fp8 (e4m3) round each element. int8
has one scale per row of a K/V head. Recompute has no cache; its scratch memory is always f32.

--json prints one object:

  model, backend
  kv_dtype                 as it is stored
  prompt_tokens            ids
  tokens_equal             null unless --mode both
  max_abs_logit_diff       null unless --mode both
  context_full             whether the context was full before all tokens were generated
  modes                    {cached: {…}, recompute: {…}}, or only one of them, each with:
    text                   with the prompt
    tokens                 the ids that were chosen
    stored_not_finite      at the end: how many elements of K and V are NaN or infinite
    stored_at_limit        at the end, fp8 only: how many elements are ±448, the largest number
    attend_kernel          of the last step; only if the backend has kernels to choose from
    steps_replayed         how many steps ran as the record of an earlier step; likewise
    steps                  step 0 is the prefill, step i chooses token i; each has:
      position             of its last token
      phase                prefill or decode
      q_len                tokens fed
      kv_len               keys that its last token sees
      q_rows               rows of Q, over all layers
      kv_rows_projected    rows of K, and as many of V, over all layers
      score_cells          over all layers and query heads
      cache_bytes_read     cached only
      cache_bytes_written  cached only
      kv_scratch_bytes     recompute only: the same traffic, in memory that is emptied before each step
      flop, wall_us

Example:
  lastrow generate --model fable-gqa --prompt "the quick brown fox" --tokens 20 --mode both)";

}  // namespace

void add_generate(CLI::App& app) {
  CLI::App* sub =
      app.add_subcommand("generate", "Generate text with the K/V cache, without it, or both ways");
  const auto o = std::make_shared<GenerateOptions>();
  sub->add_option(
      "--model", o->model,
      "A built-in model (see `lastrow info`), FILE.safetensors, or random:… (see below); default fable-mha");
  sub->add_option("--prompt", o->prompt, "The text to continue")->required();
  sub->add_option("--tokens", o->n_tokens, "How many tokens to generate; default 20");
  sub->add_option(
      "--mode", o->mode,
      "cached, recompute, or both (each runs on its own, then they are compared); default cached");
  o->backend.add_to(*sub);
  sub->add_option(
      "--kv-dtype", o->kv_dtype,
      "The type of the cache: f32, f16, bf16, fp8 or int8; default f32 (naive-f64 stores f64 instead)");
  sub->add_option("--temperature", o->sampling.temperature,
                  "0: the most probable token; above 0: a random token; default 0");
  sub->add_option("--top-k", o->sampling.top_k,
                  "Choose only among the k most probable tokens; 0: among all; default 0");
  sub->add_option("--seed", o->sampling.seed, "Of the random choices; default 1")->check(require_uint64);
  sub->add_option("--trace", o->outputs.trace, "Record every step in this safetensors file (see below)");
  sub->add_option("--chrome-trace", o->outputs.chrome_trace, "Write the timing as JSON for ui.perfetto.dev");
  sub->add_flag("--json", o->json, "Print one JSON object on standard output");
  sub->footer(kFooter);
  refuse_empty_values(*sub);
  sub->callback([o] { run(*o); });
}

}  // namespace lastrow::cli
