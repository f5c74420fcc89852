#include "cli/generate_prompt.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/generate_report.h"
#include "cli/memory_check.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "cost/memory.h"
#include "io/checked.h"
#include "session/session_cache.h"

namespace lastrow::cli {
namespace {

/// Prints the text token by token: each call prints only what the new token adds, so a long text stays fast.
class Stream {
 public:
  explicit Stream(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  /// Call it after each chosen token.
  void show(const ModeRun& run) {
    const Turn& turn = run.turns.back();
    std::vector<int32_t> tokens = last_;  // it decides whether a space follows
    if (turn.chosen.size() == 1) tokens.insert(tokens.end(), turn.given.begin(), turn.given.end());
    tokens.push_back(turn.chosen.back());
    print(std::string_view(tokenizer_.decode(tokens)).substr(tokenizer_.decode(last_).size()));
    last_ = {tokens.back()};
  }

 private:
  const Tokenizer& tokenizer_;
  std::vector<int32_t> last_{};  // the last token that was printed; empty: none
};

ModeRun run_mode(const Conversation& talk, DecodeSession& session, const GenerateReport& report,
                 KvDtypes dtypes, bool stream) {
  if (stream) {
    Stream out(*report.tokenizer);
    ModeRun run = generate(session, talk, dtypes, [&](const ModeRun& so_far) { out.show(so_far); });
    print("\n");
    return run;
  }
  Progress progress(name_of(session.mode()));
  const auto n_turns = static_cast<int64_t>(talk.then.size() + 1);
  return generate(session, talk, dtypes, [&](const ModeRun& so_far) {
    progress.at(static_cast<int64_t>(so_far.tokens.size()), n_turns * talk.n_tokens);
  });
}

Conversation conversation(const GenerateOptions& o, const Tokenizer& tokenizer, const SavedCache* from) {
  Conversation talk{.from = from, .n_tokens = o.n_tokens, .chunk = o.chunk.value_or(0)};
  if (from == nullptr || !o.prompt.empty()) talk.prompt = tokenizer.encode(o.prompt);
  for (const std::string& text : o.then) talk.then.push_back(tokenizer.encode(text));
  talk.keeps_logits = o.mode == "both";
  return talk;
}

/// The tokens that the text may have: the model's context, or with new positions as many as the conversation needs.
int32_t room_for(const Conversation& talk, const CacheOptions& cache, int32_t context) {
  if (!uses_new_positions(cache)) return context;
  return room_for_text(n_tokens_of(talk), context);
}

void note_full_context(const GenerateReport& report, int32_t n_tokens, int32_t context) {
  const ModeRun& run = report.runs.front();
  if (run.context_full)
    note(fmt::format("the context of {} tokens is full after {} of {} new tokens{}; the text so far is kept",
                     context, run.turns.back().chosen.size(), n_tokens,
                     run.turns.size() > 1 ? fmt::format(" of turn {}", run.turns.size()) : ""));
}

void note_stored_rows(const StoredRows& rows, int64_t n_saturated, KvDtypes dtypes) {
  if (rows.n_not_finite > 0)
    note(fmt::format(
        "{} stored elements are NaN or infinite, the first in {}: either they do not fit in {}, or "
        "they were NaN or infinite before they were stored",
        rows.n_not_finite, rows.first, kv_dtypes_name(dtypes)));
  if (rows.n_at_limit > 0)
    note(fmt::format("{} stored elements are ±448, the limit of fp8: it stores larger values as ±448",
                     rows.n_at_limit));
  if (rows.n_at_limit == 0 && rows.n_not_finite == 0 && n_saturated > 0)
    note(fmt::format(
        "{} elements of K and V were too large for {}, which stored its largest number in their place",
        n_saturated, kv_dtypes_name(dtypes)));
}

void print_text(const GenerateReport& report, const std::string& simt_report) {
  if (report.runs.size() == 2) {
    print(full_text(report, report.runs[0]) + "\n");
    if (!compare(report.runs[0], report.runs[1]).tokens_equal)
      print(full_text(report, report.runs[1]) + "\n");
  }
  print(fmt::format("\n{}{}", as_table(report), simt_report));
}

/// With new positions, recompute feeds the whole text one token at a time for each step.
void note_many_forwards(const Conversation& talk) {
  constexpr int64_t kMany = 20'000;                                       // a second or more
  const int64_t n = n_tokens_of(talk) - 1, n_forwards = n * (n + 1) / 2;  // the last token is not fed
  if (n_forwards > kMany)
    note(fmt::format(
        "recompute feeds the whole text again for each token, one token at a time: {} forwards in all",
        with_commas(n_forwards)));
}

/// The sessions of all modes, kept as long as a file needs them.
struct Sessions {
  std::vector<std::unique_ptr<DecodeSession>> all;
  std::string simt_report;
};

void run_modes(const GenerateOptions& o, const std::vector<Mode>& modes,
               const std::shared_ptr<const Model>& model, const Conversation& talk, int32_t longest_text,
               GenerateReport& report, Sessions& sessions) {
  const CacheOptions cache = o.cache.options();
  const int64_t logits_bytes = talk.keeps_logits ? model->config().vocab_size * int64_t{sizeof(float)} : 0;
  for (const Mode mode : modes) {
    auto made = o.backend.make();
    require_room(*model, made->info(),
                 {.cache = mode == Mode::cached ? cache : scratch_of(cache),
                  .chunk = talk.chunk,
                  .longest_text = longest_text,
                  .token_bytes = int64_t{sizeof(StepRecord)} + logits_bytes});
    if (mode == Mode::recompute && uses_new_positions(cache)) note_many_forwards(talk);
    const Backend& used = *made;
    sessions.all.push_back(
        std::make_unique<DecodeSession>(model, std::move(made),
                                        SessionOptions{.mode = mode,
                                                       .sampling = o.sampling,
                                                       .max_seq_len = longest_text,
                                                       .chunk = talk.chunk,
                                                       .record = o.outputs.record_options(),
                                                       .cache = cache}));
    DecodeSession& session = *sessions.all.back();
    const bool stream = modes.size() == 1 && !o.json;
    report.runs.push_back(run_mode(talk, session, report, cache.dtypes(), stream));
    if (mode == Mode::cached) report.n_loaded = session.n_loaded();
    sessions.simt_report += o.backend.report(used);
    report.runs.back().stored = check_stored_rows(session, cache.dtypes());
    note_stored_rows(report.runs.back().stored, total(report.runs.back().steps).n_saturated, cache.dtypes());
    const bool needed = o.outputs.wanted() || (!o.save_cache.empty() && mode == Mode::cached);
    if (!needed) sessions.all.back().reset();  // its copy of the weights is no longer needed
  }
}

WrittenFiles write_traces(const GenerateOptions& o, const GenerateReport& report, const Sessions& sessions) {
  std::vector<RecordedRun> recorded;
  for (size_t i = 0; o.outputs.wanted() && i < report.runs.size(); ++i) {
    const ModeRun& run = report.runs[i];
    const DecodeSession& session = *sessions.all[i];
    const bool cached = run.mode == Mode::cached;
    recorded.push_back({.mode = run.mode,
                        .recorder = &session.recorder(),
                        .info = {.config_json = to_json(session.model().config()),
                                 .tokens = all_tokens(run),
                                 .cache = cached ? report.cache : "",
                                 .kv_dtype = cached ? report.kv_dtype : "",
                                 .n_stored_not_finite = run.stored.n_not_finite,
                                 .n_stored_at_limit = run.stored.n_at_limit}});
  }
  return o.outputs.write(recorded);
}

/// The last chosen token has no rows yet. It is fed first, so that the file holds the rows of the whole text.
void add_saved_cache(const std::string& path, DecodeSession& session, WrittenFiles& written) {
  if (!session.context_full()) session.advance();
  AtomicFile& file = written.add(path, fmt::format("cache of {} tokens: {}", session.kv_len(), path));
  write_saved_cache(save_cache(session), file);
  file.finish();
}

}  // namespace

std::shared_ptr<const Model> load_with_progress(const std::string& name) {
  const Progress progress("loading " + name);
  return load_model(name);
}

void generate_prompt(const GenerateOptions& o) {
  const std::vector<Mode> modes = modes_from_name(o.mode);
  o.outputs.require_writable({{"--model", model_file(o.model)}, {"--cache-from", o.cache_from}}, modes,
                             {{"--save-cache", o.save_cache}});
  const CacheOptions cache = o.cache.options();
  const BackendInfo backend = o.backend.make()->info();  // refuses an unusable backend before loading
  std::optional<SavedCache> from;
  if (!o.cache_from.empty()) from = read_saved_cache(o.cache_from);
  const auto model = load_with_progress(o.model);
  const Conversation talk = conversation(o, model->tokenizer(), from ? &*from : nullptr);
  const int32_t longest_text = room_for(talk, cache, model->config().max_seq_len);
  require_fits(talk, longest_text);
  GenerateReport report{.model = o.model,
                        .backend = o.backend.name(),
                        .cache = name_of(cache),
                        .kv_dtype = stored_name(cache.dtypes(), backend),
                        .tokenizer = &model->tokenizer()};
  Sessions sessions;
  run_modes(o, modes, model, talk, longest_text, report, sessions);
  WrittenFiles written = write_traces(o, report, sessions);
  if (!o.save_cache.empty()) add_saved_cache(o.save_cache, *sessions.all.front(), written);
  note_full_context(report, o.n_tokens, longest_text);
  if (o.json)
    print_json(as_json(report));
  else
    print_text(report, sessions.simt_report);
  written.commit();
}

}  // namespace lastrow::cli
