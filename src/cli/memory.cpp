// `lastrow memory`: the size of the K/V cache of a model.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cache/make_cache.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "cost/memory.h"
#include "cost/presets.h"
#include "io/checked.h"
#include "model/model.h"

namespace lastrow::cli {
namespace {

using nlohmann::ordered_json;

struct MemoryOptions {
  std::string model;
  std::optional<int64_t> context;  // empty: the context of the model
  int64_t batch = 1;
  std::string kv_dtype = "f16", cache = "contiguous";
  bool list = false, json = false;
};

/// The sizes of a loaded model.
ModelShape shape_of(const Model& model) {
  ModelShape shape = lastrow::shape_of(model.config(), model.weight("model.embed_tokens.weight").dtype());
  shape.source = escaped(model.source());
  if (shape.name.empty()) shape.name = shape.source;
  return shape;
}

/// The sizes of a file, a preset, or a model that load_model knows, in this order. For a random model it
/// reads only the description, and does not make the model.
ModelShape find_shape(const std::string& name) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(name, ignored)) return shape_of(*load_model(name));
  if (const ModelShape* preset = preset_or_null(name)) return *preset;
  if (name == "random" || name.starts_with("random:")) {
    ModelShape shape = lastrow::shape_of(random_model_config(name));
    shape.source = name;
    return shape;
  }
  const std::vector<std::string> builtin = builtin_model_names();
  const bool is_builtin = std::find(builtin.begin(), builtin.end(), name) != builtin.end();
  // For a path that exists but is no file, and for a missing .safetensors file, load_model has a better
  // error.
  if (is_builtin || std::filesystem::exists(name, ignored) || name.ends_with(".safetensors"))
    return shape_of(*load_model(name));
  throw UsageError("unknown model '{}': {}`lastrow memory --list` lists the presets; or use {}{}a model file",
                   name, near_presets(name), fmt::join(builtin, ", "), builtin.empty() ? "" : ", or ");
}

ordered_json listed(const ModelShape& s) {
  return {{"name", s.name},           {"n_layers", s.n_layers},
          {"n_q_heads", s.n_q_heads}, {"n_kv_heads", s.n_kv_heads},
          {"head_dim", s.head_dim},   {"max_seq_len", s.max_seq_len},
          {"window", s.window},       {"n_window_layers", s.n_window_layers()},
          {"params", n_params(s)},    {"source", s.source}};
}

void list_presets(bool json) {
  if (json) {
    ordered_json all = ordered_json::array();
    for (const ModelShape& s : presets()) all.push_back(listed(s));
    return print_json({{"presets", all}});
  }
  std::string out = fmt::format("{:<14} {:>6} {:>8} {:>9} {:>8} {:>8} {:>17}  {}\n", "preset", "layers",
                                "q heads", "K/V heads", "head_dim", "context", "window (layers)", "source");
  for (const ModelShape& s : presets())
    out += fmt::format("{:<14} {:>6} {:>8} {:>9} {:>8} {:>8} {:>17}  {}\n", s.name, s.n_layers, s.n_q_heads,
                       s.n_kv_heads, s.head_dim, s.max_seq_len,
                       s.window > 0 ? fmt::format("{} ({})", s.window, s.n_window_layers()) : "–", s.source);
  print(out);
}

std::string bytes_per_token_text(const ModelShape& shape, const CacheMemory& m) {
  if (m.n_growing_layers == 0) return "0 bytes: the window of every layer is full";
  std::string out =
      fmt::format("{} ({} bytes)", gib_and_gb(m.bytes_per_token), with_commas(m.bytes_per_token));
  if (m.n_growing_layers < shape.n_layers)
    out += fmt::format(", in the {} layers without a window", m.n_growing_layers);
  return out;
}

/// What the pool of blocks holds.
std::string paged_text(const PagedMemory& p, int64_t context, int64_t batch) {
  std::string out = fmt::format("  a block            {} ({} bytes)\n", gib_and_gb(p.block_bytes),
                                with_commas(p.block_bytes));
  out += fmt::format("  a sequence         {} blocks; {} rows of the last one stay empty\n",
                     with_commas(p.blocks_per_seq), with_commas(p.waste_rows));
  out += fmt::format("  the pool           {} blocks, room for {} sequence{} of {} tokens\n",
                     with_commas(p.n_blocks), with_commas(p.seqs_that_fit), p.seqs_that_fit == 1 ? "" : "s",
                     with_commas(context));
  if (p.seqs_that_fit < batch)
    out += fmt::format("  note               the other {} sequences must wait, or share blocks\n",
                       with_commas(batch - p.seqs_that_fit));
  return out;
}

std::string as_text(const ModelShape& shape, int64_t context, const MemoryOptions& o, const CacheMemory& m,
                    const std::optional<PagedMemory>& paged) {
  const CacheFormats formats = cache_formats_of(o.kv_dtype);
  std::string out =
      fmt::format("{}: K/V cache of {} sequence{} of {} tokens in {}{}\n\n", shape.name, with_commas(o.batch),
                  o.batch == 1 ? "" : "s", with_commas(context), o.kv_dtype, paged ? ", " + o.cache : "");
  out += fmt::format("  {}\n\n", paged ? paged->formula : m.formula);
  if (paged) out += paged_text(*paged, context, o.batch);
  out += fmt::format("  each token adds    {}\n", bytes_per_token_text(shape, m));
  out += fmt::format("  weights            {} in {}\n", gib_and_gb(m.weights_bytes),
                     name_of(shape.weight_dtype));
  const auto crossing = crossing_context(shape, o.batch, formats);
  out += crossing
             ? fmt::format("  exceeds weights    from a context of {} tokens on\n", with_commas(*crossing))
             : "  exceeds weights    never, because of the sliding window\n";
  if (context > shape.max_seq_len)
    out += fmt::format("  note               the context of the model is only {} tokens\n",
                       with_commas(shape.max_seq_len));
  if (!shape.source.empty()) out += fmt::format("  sizes from         {}\n", shape.source);
  return out;
}

void run(const MemoryOptions& o) {
  if (o.list) return list_presets(o.json);
  if (o.model.empty()) throw UsageError("--model is missing: name a model, or use --list for the presets");
  const CacheOptions cache = cache_options(o.cache);
  const ModelShape shape = find_shape(o.model);
  const int64_t context = o.context.value_or(shape.max_seq_len);
  const CacheFormats formats = cache_formats_of(o.kv_dtype);
  const CacheMemory m = cache_memory(shape, context, o.batch, formats);
  std::optional<PagedMemory> paged;
  if (cache.kind == "paged")
    paged = paged_memory(shape, context, o.batch, formats, cache.block_len, cache.n_blocks);
  if (!o.json) return print(as_text(shape, context, o, m, paged));
  const int64_t bytes = paged ? paged->bytes : m.bytes;
  ordered_json json = {{"model", shape.name},
                       {"context", context},
                       {"batch", o.batch},
                       {"cache", name_of(cache)},
                       {"kv_dtype", o.kv_dtype},
                       {"bytes", bytes},
                       {"bytes_per_token", m.bytes_per_token},
                       {"gib", static_cast<double>(bytes) / 0x1p30},
                       {"gb", static_cast<double>(bytes) / 1e9},
                       {"weights_bytes", m.weights_bytes},
                       {"formula", paged ? paged->formula : m.formula}};
  if (paged)
    json["blocks"] = {{"block_bytes", paged->block_bytes},
                      {"blocks_per_sequence", paged->blocks_per_seq},
                      {"blocks", paged->n_blocks},
                      {"sequences_that_fit", paged->seqs_that_fit},
                      {"waste_rows_per_sequence", paged->waste_rows}};
  print_json(json);
}

}  // namespace

void add_memory(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("memory", "Compute the size of a model's K/V cache");
  const auto o = std::make_shared<MemoryOptions>();
  sub->add_option("--model", o->model, "A preset (see --list), a built-in model, a model FILE, or random:…");
  sub->add_option("--context", o->context, "Tokens per sequence; default: the context of the model");
  sub->add_option("--batch", o->batch, "Number of sequences; default 1");
  sub->add_option("--cache", o->cache,
                  "contiguous, or paged[:block=B][,blocks=N]: blocks of B rows from a pool of N; default "
                  "contiguous, B 16, N as many as are needed");
  sub->add_option("--kv-dtype,--dtype", o->kv_dtype,
                  "The type of the cache: f32, f16, bf16, int8, fp8 or int4, or k=TYPE,v=TYPE; default f16");
  sub->add_flag("--list", o->list, "List the presets, with their sizes and sources");
  sub->add_flag("--json", o->json, "Print one JSON object on standard output");
  sub->footer(
      "Example:\n  lastrow memory --model llama-3-8b --context 8192 --batch 16 --cache paged --kv-dtype f16");
  refuse_empty_values(*sub);
  sub->callback([o] { run(*o); });
}

}  // namespace lastrow::cli
