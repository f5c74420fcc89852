#include "cli/generate_prompts.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/generate_prompt.h"
#include "cli/generation.h"
#include "cli/memory_check.h"
#include "cli/pad_left.h"
#include "cli/prompts_report.h"
#include "cli/share_prefix_report.h"
#include "cli/terminal.h"
#include "session/session_cache.h"

namespace lastrow::cli {
namespace {

/// What all runs over the file have in common.
struct Job {
  const GenerateOptions& o;
  std::shared_ptr<const Model> model;
  std::vector<FilePrompt> prompts;
  CacheOptions cache;
  int32_t batch;
};

size_t most_prompt_tokens(const Job& job) {
  size_t most = 1;
  for (const FilePrompt& prompt : job.prompts) most = std::max(most, prompt.tokens.size());
  return most;
}

/// The tokens that a text may have: the model's context, or with new positions as many as the longest one needs.
int32_t room_for(const Job& job) {
  const int32_t context = job.model->config().max_seq_len;
  if (!uses_new_positions(job.cache)) return context;
  return room_for_text(static_cast<int64_t>(most_prompt_tokens(job)) + job.o.n_tokens, context);
}

/// The tokens of the longest prompt, as far as it fits in a text.
int32_t longest_prompt(const Job& job) {
  return static_cast<int32_t>(std::min(most_prompt_tokens(job), static_cast<size_t>(room_for(job))));
}

std::unique_ptr<BatchSession> make_session(const Job& job, std::unique_ptr<Backend> backend,
                                           const CacheOptions& cache,
                                           const std::optional<RecordOptions>& record) {
  const int32_t chunk = chunk_of_prompts(cache, room_for(job));
  require_room(*job.model, backend->info(),
               {.cache = cache,
                .n_seqs = job.batch,
                .max_tokens = chunk > 0 ? int64_t{chunk} * job.batch : int64_t{room_for(job)} + job.batch,
                .chunk = chunk > 0 ? chunk : longest_prompt(job),
                .longest_text = room_for(job)});
  return std::make_unique<BatchSession>(job.model, std::move(backend),
                                        BatchOptions{.sampling = job.o.sampling,
                                                     .max_seqs = job.batch,
                                                     .max_seq_len = room_for(job),
                                                     .max_prompt_len = longest_prompt(job),
                                                     .cache = cache,
                                                     .record = record});
}

/// A run that only shows progress, to compare the main run with.
PromptsRun other_run(const Job& job, std::unique_ptr<Backend> backend, const CacheOptions& cache,
                     const std::string& what, std::span<const FilePrompt> prompts, int32_t n_tokens) {
  const auto session = make_session(job, std::move(backend), cache, {});
  Progress progress(what);
  return run_prompts(*session, job.o.prompts, prompts, n_tokens,
                     {.on_progress = [&](int64_t done, int64_t all) { progress.at(done, all); }});
}

/// The runs that are timed: as many without sharing as with it.
struct TimedRuns {
  std::vector<PromptsRun> without, with;
};

/// Runs the prompts both ways in turn. The order changes with each round, so that neither way gains from being
/// the second. Before that one prompt runs each way without being counted, because a first run is slower. Slow
/// prompts run only once each way. The number of rounds is odd, so that a median is one of the runs.
TimedRuns time_sharing(const Job& job) {
  constexpr size_t kMostRounds = 5;
  constexpr std::chrono::seconds kEnough{1};
  CacheOptions shared = job.cache;
  shared.share_prefix = true;
  for (const CacheOptions& cache : {job.cache, shared})
    other_run(job, job.o.backend.make(), cache, "the first prompt, to warm up",
              std::span(job.prompts).first(1), 1);
  TimedRuns timed;
  const auto run = [&](bool share) {
    (share ? timed.with : timed.without)
        .push_back(other_run(
            job, job.o.backend.make(), share ? shared : job.cache,
            share ? "tokens of all prompts, with sharing" : "tokens of all prompts, without sharing",
            job.prompts, job.o.n_tokens));
  };
  const auto start = std::chrono::steady_clock::now();
  for (size_t round = 0; round < kMostRounds; ++round) {
    if (round % 2 == 1 && std::chrono::steady_clock::now() - start > kEnough) break;
    run(round % 2 == 1);
    run(round % 2 == 0);
  }
  return timed;
}

/// The run that is reported. Without --json it prints a line for each prompt as it ends.
PromptsRun main_run(const Job& job, BatchSession& session, const PromptsReport& report) {
  Progress progress("tokens of all prompts");
  PromptsEvents events{.on_progress = [&](int64_t done, int64_t all) { progress.at(done, all); }};
  if (!job.o.json)
    events.on_end = [&](const PromptsRun& run, size_t i) { progress.print(line_of(report, run, i)); };
  return run_prompts(session, job.o.prompts, job.prompts, job.o.n_tokens, events);
}

void note_full_contexts(const Job& job, const PromptsRun& run) {
  for (size_t i = 0; i < run.prompts.size(); ++i)
    if (run.prompts[i].context_full)
      note(fmt::format(
          "{}: the context of {} tokens is full after {} of {} new tokens; the text so far is kept",
          place_of(job.o.prompts, job.prompts[i].line), job.model->config().max_seq_len,
          run.prompts[i].tokens.size(), job.o.n_tokens));
}

WrittenFiles write_trace_of(const Job& job, const BatchSession& session, const PromptsReport& report) {
  if (!job.o.outputs.wanted()) return {};
  const RecordedRun run{
      .mode = Mode::cached,
      .recorder = &session.recorder(),
      .info = {
          .config_json = to_json(job.model->config()), .cache = report.cache, .kv_dtype = report.kv_dtype}};
  return job.o.outputs.write({&run, 1});
}

Job make_job(const GenerateOptions& o) {
  o.outputs.require_writable({{"--model", model_file(o.model)},
                              {"--prompts", is_standard_input(o.prompts) ? "/dev/stdin" : o.prompts}},
                             std::vector{Mode::cached});
  Job job{.o = o, .model = {}, .prompts = {}, .cache = o.cache.options(), .batch = o.batch.value_or(1)};
  o.backend.make();  // refuses an unusable backend before loading
  job.model = load_with_progress(o.model);
  job.prompts = read_prompts(o.prompts, job.model->tokenizer());
  return job;
}

/// The runs that the main run is compared with; empty if they were not asked for.
struct OtherRuns {
  std::optional<TimedRuns> sharing;
  std::optional<PromptsRun> padded;
  std::vector<int32_t> padding;
};

void print_result(const Job& job, const PromptsReport& report, const PromptsRun& run, const OtherRuns& others,
                  const std::string& simt_report) {
  nlohmann::ordered_json json = as_json(report, run);
  std::string text = "\n" + as_table(report, run);
  json["share_prefix"] = json["pad_left"] = nullptr;
  if (others.sharing) {
    const SharePrefixReport shared{job.prompts, others.sharing->without, others.sharing->with};
    json["share_prefix"] = as_json(shared);
    text += as_text(shared);
  }
  if (others.padded) {
    const PadLeftReport padded{job.prompts, others.padding, &run, &*others.padded, report.tokenizer};
    json["pad_left"] = as_json(padded);
    text += as_text(padded);
  }
  if (job.o.json)
    print_json(json);
  else
    print(text + simt_report);
}

}  // namespace

void generate_prompts(const GenerateOptions& o) {
  Job job = make_job(o);
  OtherRuns others;
  if (o.pad_left) {
    others.padding = left_padding(job.prompts, job.batch);
    require_padded_fit(job.prompts, others.padding, o.n_tokens, job.model->config().max_seq_len);
  }
  if (o.share_prefix) others.sharing = time_sharing(job);

  job.cache.share_prefix = o.share_prefix;
  auto backend = o.backend.make();
  const Backend& used = *backend;
  const PromptsReport report{.model = o.model,
                             .backend = o.backend.name(),
                             .cache = name_of(o.cache.options()),
                             .kv_dtype = stored_name(job.cache.dtypes(), backend->info()),
                             .batch = job.batch,
                             .file = job.prompts,
                             .tokenizer = &job.model->tokenizer()};
  auto session = make_session(job, std::move(backend), job.cache, o.outputs.record_options());
  const PromptsRun run = main_run(job, *session, report);
  const std::string simt_report = o.backend.report(used);
  WrittenFiles written = write_trace_of(job, *session, report);
  session.reset();  // its memory is no longer needed
  if (o.pad_left)
    others.padded = other_run(job, with_padded_positions(o.backend.make(), job.prompts, others.padding),
                              job.cache, "tokens of all prompts, padded", job.prompts, o.n_tokens);
  note_full_contexts(job, run);
  print_result(job, report, run, others, simt_report);
  written.commit();
}

}  // namespace lastrow::cli
