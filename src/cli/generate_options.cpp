#include "cli/generate_options.h"

#include "cli/arguments.h"
#include "cli/generate_help.h"
#include "core/error.h"
#include "session/session_cache.h"

namespace lastrow::cli {
namespace {

void add_model_options(CLI::App& sub, GenerateOptions& o) {
  sub.add_option(
      "--model", o.model,
      "A built-in model (see `lastrow info`), FILE.safetensors, or random:… (see below); default fable-mha");
  sub.add_option("--prompt", o.prompt, "The text to continue");
  sub.add_option("--tokens", o.n_tokens, "How many tokens to generate; default 20");
  sub.add_option("--mode", o.mode,
                 "cached, recompute, or both (each runs on its own, then they are compared); default cached");
  o.backend.add_to(sub);
  o.cache.add_to(sub);
  sub.add_option("--temperature", o.sampling.temperature,
                 "0: the most probable token; above 0: a random token; default 0");
  sub.add_option("--top-k", o.sampling.top_k,
                 "Choose only among the k most probable tokens; 0: among all; default 0");
  sub.add_option("--seed", o.sampling.seed, "Of the random choices; default 1")->check(require_uint64);
}

void add_text_options(CLI::App& sub, GenerateOptions& o) {
  sub.add_option("--chunk", o.chunk, "Feed the prompt in steps of at most this many tokens");
  sub.add_option("--then", o.then,
                 "A second turn: this text follows the generated one, and --tokens more are generated. May "
                 "be given several times")
      ->allow_extra_args(false);
  sub.add_option("--save-cache", o.save_cache, "At the end, write the rows of the whole text to this file");
  sub.add_option(
      "--cache-from", o.cache_from,
      "Begin behind the text of this file, with its rows. Without --prompt its last token is fed again");
  sub.add_option("--prompts", o.prompts,
                 "Continue every prompt of this file: one a line, in UTF-8; - is standard input");
  sub.add_option("--batch", o.batch, "With --prompts: how many sequences step together; default 1");
  sub.add_flag("--share-prefix", o.share_prefix,
               "With --prompts and --cache paged: prompts that begin alike share rows. Runs without it too, "
               "and compares");
  sub.add_flag("--pad-left", o.pad_left,
               "With --prompts and --batch: shows what is wrong with a batch that is padded on the left");
}

void require_for_prompts(const GenerateOptions& o) {
  if (!o.prompt.empty()) throw UsageError("--prompt and --prompts: use only one of them");
  if (o.mode != "cached") throw UsageError("--prompts runs with the cache only: leave out --mode {}", o.mode);
  if (o.chunk)
    throw UsageError(
        "--chunk works on one text: with --prompts the cache decides how much of a prompt a step feeds, so "
        "leave out --chunk");
  const std::pair<bool, const char*> for_one[] = {{!o.then.empty(), "--then"},
                                                  {!o.save_cache.empty(), "--save-cache"},
                                                  {!o.cache_from.empty(), "--cache-from"}};
  for (const auto& [given, name] : for_one)
    if (given) throw UsageError("{} works on one text: use it with --prompt, not with --prompts", name);
  if (o.share_prefix && o.cache.options().kind != "paged")
    throw UsageError("--share-prefix shares blocks of a pool: add --cache paged");
  if (o.pad_left && o.batch.value_or(1) < 2)
    throw UsageError("--pad-left is about prompts that step together: add --batch 2 or more");
  const CacheOptions cache = o.cache.options();
  if (o.pad_left && (cache.window > 0 || forgets_rows(cache)))
    throw UsageError(
        "--pad-left moves positions, and this cache goes by them: use a contiguous or paged --cache");
  if (o.pad_left && limits_steps(cache))
    throw UsageError(
        "--pad-left feeds whole prompts, and int8-channel takes a block at a time: use --kv-dtype int8");
  if (o.pad_left && o.share_prefix)
    throw UsageError("--pad-left and --share-prefix compare different things: use only one of them");
}

void require_for_prompt(const GenerateOptions& o) {
  const std::pair<bool, const char*> for_many[] = {
      {o.batch.has_value(), "--batch"}, {o.share_prefix, "--share-prefix"}, {o.pad_left, "--pad-left"}};
  for (const auto& [given, name] : for_many)
    if (given) throw UsageError("{} needs several prompts: name a file of them with --prompts", name);
  if (o.prompt.empty() && o.cache_from.empty())
    throw UsageError("--prompt is missing: give a text to continue, or a file of texts with --prompts");
  if (!o.save_cache.empty() || !o.cache_from.empty()) require_can_be_saved(o.cache.options());
  if (o.mode != "recompute") return;
  if (!o.save_cache.empty())
    throw UsageError("--mode recompute has no rows to save: use --mode cached or both with --save-cache");
  if (o.cache.options().kind != "contiguous")
    throw UsageError("--mode recompute has no cache: leave out --cache, or use --mode cached or both");
}

}  // namespace

void add_options(CLI::App& sub, GenerateOptions& o) {
  add_model_options(sub, o);
  add_text_options(sub, o);
  sub.add_option("--trace", o.outputs.trace, "Record every step in this safetensors file (see below)");
  sub.add_option("--chrome-trace", o.outputs.chrome_trace, "Write the timing as JSON for ui.perfetto.dev");
  sub.add_flag("--json", o.json, "Print one JSON object on standard output");
  sub.footer(kGenerateHelp);
  refuse_empty_values(sub);
}

void require_consistent(const GenerateOptions& o) {
  if (o.n_tokens < 1) throw UsageError("--tokens {}: ask for at least 1", o.n_tokens);
  if (o.chunk && *o.chunk < 1) throw UsageError("--chunk {}: a step feeds at least 1 token", *o.chunk);
  if (o.batch && *o.batch < 1) throw UsageError("--batch {}: at least 1 sequence steps", *o.batch);
  if (o.json && o.backend.reports())
    throw UsageError("--simt-report prints tables, but --json prints one object: use only one of them");
  if (o.many())
    require_for_prompts(o);
  else
    require_for_prompt(o);
}

std::vector<Mode> modes_from_name(const std::string& name) {
  if (name == "cached") return {Mode::cached};
  if (name == "recompute") return {Mode::recompute};
  if (name == "both") return {Mode::cached, Mode::recompute};
  throw UsageError("unknown mode '{}': use cached, recompute or both", name);
}

}  // namespace lastrow::cli
