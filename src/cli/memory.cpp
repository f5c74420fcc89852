// `lastrow memory`: the size of the K/V cache of a model.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/memory_sizes.h"
#include "cli/terminal.h"
#include "core/error.h"
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

/// "1 block", "2 blocks".
std::string counted(int64_t n, std::string_view what) {
  return fmt::format("{} {}{}", with_commas(n), what, n == 1 ? "" : "s");
}

/// As in --kv-dtype, in one spelling.
std::string dtype_name(const std::string& text) { return kv_dtypes_name(kv_dtypes_from_name(text)); }

/// What the pool of blocks holds.
std::string paged_text(const PagedMemory& p, int64_t context, int64_t batch) {
  std::string out = fmt::format("  a block            {} ({} bytes)\n", gib_and_gb(p.block_bytes),
                                with_commas(p.block_bytes));
  out += fmt::format("  a sequence         {}; {} of the last one {} empty\n",
                     counted(p.blocks_per_seq, "block"), counted(p.waste_rows, "row"),
                     p.waste_rows == 1 ? "stays" : "stay");
  out += fmt::format("  the pool           {}, room for {} of {}\n", counted(p.n_blocks, "block"),
                     counted(p.seqs_that_fit, "sequence"), counted(context, "token"));
  if (p.n_open_blocks > 0)
    out += fmt::format(
        "  open blocks        {} ({} bytes): new rows of K stay in f32 until their block gets its scales\n",
        counted(p.n_open_blocks, "block"), with_commas(p.open_bytes));
  if (p.seqs_that_fit < batch)
    out += fmt::format("  note               the other {} must wait, or share blocks\n",
                       counted(batch - p.seqs_that_fit, "sequence"));
  return out;
}

/// What a cache that forgets rows holds.
std::string ring_text(const ComputedMemory& s) {
  const WindowMemory& r = *s.ring;
  std::string out;
  if (s.has_window())
    out = fmt::format(
        "  a block            {} ({} bytes)\n"
        "  a sequence         {} for sinks, a ring of {}\n",
        gib_and_gb(r.block_bytes), with_commas(r.block_bytes), counted(r.sink_blocks, "block"),
        counted(r.ring_blocks, "block"));
  out += fmt::format("  rows               {} at most while a step runs, {} between steps\n",
                     with_commas(r.held_rows), with_commas(std::min(r.held_rows, s.most_kept())));
  if (s.cache.positions == Positions::renumbered)
    out +=
        "  note               positions=new also needs a scratch for the rotated keys of one layer, in f32\n";
  return out;
}

/// When the cache becomes larger than the weights. A pool with a fixed number of blocks does not grow.
std::string crossing_text(const ComputedMemory& s) {
  if (s.crossing)
    return fmt::format("  exceeds weights    from a context of {} on\n", counted(*s.crossing, "token"));
  if (s.ring)
    return fmt::format("  exceeds weights    never{}\n", s.alternating    ? ""
                                                         : s.has_window() ? ": rings do not grow"
                                                                          : ": a budget does not grow");
  if (!s.fixed_pool()) return "  exceeds weights    never, because of the sliding window\n";
  return s.bytes() > s.whole.weights_bytes
             ? "  exceeds weights    at any context: the size of the pool is fixed\n"
             : "";
}

std::string per_token_text(const ModelShape& shape, const ComputedMemory& s) {
  if (s.alternating)
    return fmt::format("  each token adds    {} ({} bytes), in {} of {}\n", gib_and_gb(s.bytes_per_token()),
                       with_commas(s.bytes_per_token()), s.growing_layers(shape),
                       counted(shape.n_layers, "layer"));
  if (s.is_full())
    return fmt::format("  each token adds    0 bytes: the {} is full\n",
                       s.has_window() ? "window" : "budget");
  if (s.ring)
    return fmt::format("  each token takes   {} ({} bytes) of its {}\n", gib_and_gb(s.bytes_per_token()),
                       with_commas(s.bytes_per_token()), s.has_window() ? "ring" : "budget");
  if (!s.paged) return fmt::format("  each token adds    {}\n", bytes_per_token_text(shape, s.whole));
  const int64_t bytes = s.bytes_per_token();
  return fmt::format("  each token {}   {} ({} bytes), {}\n", s.fixed_pool() ? "takes" : "adds ",
                     gib_and_gb(bytes), with_commas(bytes),
                     s.fixed_pool() ? "of the pool" : "counted in whole blocks");
}

std::string as_text(const ModelShape& shape, const MemoryOptions& o, const ComputedMemory& s) {
  std::string out = fmt::format("{}: K/V cache of {} of {} in {}{}\n\n", shape.name,
                                counted(o.batch, "sequence"), counted(s.context, "token"),
                                dtype_name(o.kv_dtype), s.in_blocks() ? ", " + name_of(s.cache) : "");
  if (s.alternating) {
    out += fmt::format("  in {} with a window of {}:\n  {}\n", counted(shape.n_window_layers(), "layer"),
                       with_commas(shape.window), s.ring->formula);
    out += ring_text(s);
    out += fmt::format("\n  in {} without one:\n  {}\n", counted(s.alternating->n_full_layers, "layer"),
                       s.paged->formula);
    out += paged_text(*s.paged, s.context, o.batch);
    out +=
        fmt::format("\n  together           {} ({} bytes)\n", gib_and_gb(s.bytes()), with_commas(s.bytes()));
  } else {
    out += fmt::format("  {}\n\n", s.formula());
    if (s.paged) out += paged_text(*s.paged, s.context, o.batch);
    if (s.ring) out += ring_text(s);
  }
  out += per_token_text(shape, s);
  out += fmt::format("  weights            {} in {}\n", gib_and_gb(s.whole.weights_bytes),
                     name_of(shape.weight_dtype));
  out += crossing_text(s);
  if (s.paged && !s.alternating && shape.window > 0)
    out += fmt::format("  note               blocks also keep the rows that the window of {} hides\n",
                       counted(shape.n_window_layers(), "layer"));
  if (s.ring && !s.alternating && s.has_window() && shape.window > 0)
    out += "  note               all layers have the same ring, those with a window of their own too\n";
  if (!s.in_blocks() && shape.window > 0 && preset_or_null(o.model) == nullptr)
    out +=
        "  note               `lastrow generate` stores more: its caches keep the rows behind a window too\n";
  if (s.context > shape.max_seq_len)
    out += s.cache.positions == Positions::renumbered
               ? fmt::format(
                     "  note               longer than the model's context of {} tokens, which positions=new "
                     "allows\n",
                     with_commas(shape.max_seq_len))
               : fmt::format("  note               the context of the model is only {} tokens\n",
                             with_commas(shape.max_seq_len));
  if (!shape.source.empty()) out += fmt::format("  sizes from         {}\n", shape.source);
  return out;
}

ordered_json as_json(const ModelShape& shape, const MemoryOptions& o, const ComputedMemory& s) {
  ordered_json json = {{"model", shape.name},
                       {"context", s.context},
                       {"model_context", shape.max_seq_len},
                       {"batch", o.batch},
                       {"cache", name_of(s.cache)},
                       {"kv_dtype", dtype_name(o.kv_dtype)},
                       {"bytes", s.bytes()},
                       {"bytes_per_token", s.bytes_per_token()},
                       {"growing_layers", s.growing_layers(shape)},
                       {"gib", static_cast<double>(s.bytes()) / 0x1p30},
                       {"gb", static_cast<double>(s.bytes()) / 1e9},
                       {"weights_bytes", s.whole.weights_bytes},
                       {"weights_dtype", name_of(shape.weight_dtype)},
                       {"exceeds_weights", s.bytes() > s.whole.weights_bytes},
                       {"exceeds_weights_from", nullptr},
                       {"formula", s.formula()},
                       {"source", shape.source}};
  if (s.crossing) json["exceeds_weights_from"] = *s.crossing;
  if (s.paged)
    json["blocks"] = {{"block_bytes", s.paged->block_bytes},
                      {"blocks_per_sequence", s.paged->blocks_per_seq},
                      {"blocks", s.paged->n_blocks},
                      {"open_blocks", s.paged->n_open_blocks},
                      {"open_bytes", s.paged->open_bytes},
                      {"sequences_that_fit", s.paged->seqs_that_fit},
                      {"waste_rows_per_sequence", s.paged->waste_rows}};
  if (s.ring)
    json["ring"] = {{"block_bytes", s.ring->block_bytes},
                    {"sink_blocks_per_sequence", s.ring->sink_blocks},
                    {"ring_blocks_per_sequence", s.ring->ring_blocks},
                    {"blocks", s.ring->n_blocks},
                    {"most_rows_per_sequence", s.ring->held_rows}};
  return json;
}

void run(const MemoryOptions& o) {
  if (o.list) return list_presets(o.json);
  if (o.model.empty()) throw UsageError("--model is missing: name a model, or use --list for the presets");
  const ModelShape shape = find_shape(o.model);
  const ComputedMemory sizes =
      compute_memory(shape, cache_options(o.cache), o.context.value_or(shape.max_seq_len), o.batch,
                     cache_formats_of(o.kv_dtype));
  if (o.json)
    print_json(as_json(shape, o, sizes));
  else
    print(as_text(shape, o, sizes));
}

constexpr const char* kMemoryFooter =
    R"(--json prints one object:

  model, source            the name, and where the sizes are from
  context, model_context   tokens per sequence; and the context that the model was made for
  batch                    sequences
  cache, kv_dtype          as in the options
  bytes, gib, gb           of the cache; of a paged cache, the whole blocks of its pool
  bytes_per_token          the rows that one more token of one sequence adds, in all layers that still grow
  growing_layers           these layers: a layer whose window is full does not grow. Blocks keep every row, also
                           behind a window, so with --cache paged every layer grows
  weights_bytes            in weights_dtype
  exceeds_weights          whether the cache is larger than the weights at this context
  exceeds_weights_from     the shortest context at which it is. null: at none, or blocks=N fixes the size
  formula                  with its numbers
  blocks                   with --cache paged; and with --cache window for a model in which only some layers have a
                           window: of the other layers
    block_bytes            K and V of one block in all layers, scales included
    blocks_per_sequence, blocks, sequences_that_fit
    open_blocks, open_bytes    with int8-channel: blocks for the new rows of K in f32, of all sequences, for prompts
                           that are fed in chunks of one block; else 0
    waste_rows_per_sequence    slots of a sequence's last block that stay empty
  ring                     with --cache window, for prompts that are fed in chunks of the window (positions=new: one
                           token), and --cache budget:rows=N, in chunks of N (as blocks of one row):
    block_bytes            K and V of one block in all layers
    sink_blocks_per_sequence, ring_blocks_per_sequence, blocks
    most_rows_per_sequence     rows that are held while a step runs

With --list it prints {presets: […]}: name, sizes, window (0: none) and the number of layers that have it,
params and source of each.

Example:
  lastrow memory --model llama-3-8b --context 8192 --batch 16 --cache paged --kv-dtype f16)";

}  // namespace

void add_memory(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("memory", "Compute the size of a model's K/V cache");
  const auto o = std::make_shared<MemoryOptions>();
  sub->add_option("--model", o->model, "A preset (see --list), a built-in model, a model FILE, or random:…");
  sub->add_option("--context", o->context, "Tokens per sequence; default: the context of the model");
  sub->add_option("--batch", o->batch, "Number of sequences; default 1");
  sub->add_option(
      "--cache", o->cache,
      "contiguous; paged[:block=B][,blocks=N]: blocks of B rows from a pool of N; "
      "window:w=W[,sinks=N][,positions=kept|new][,block=B]: a ring for the last W rows, after the first N; "
      "window: the window of the model, in the layers that have it; or budget:rows=N[,policy=P]: N rows; "
      "default contiguous, B 16, blocks=N as many as are needed, no sinks");
  sub->add_option("--kv-dtype,--dtype", o->kv_dtype,
                  "The type of the cache: f32, f16, bf16, fp8, int8, int4 or fp4, with --cache paged also "
                  "int8-channel (K only; V is then int8), or k=TYPE,v=TYPE; default f16");
  sub->add_flag("--list", o->list, "List the presets, with their sizes and sources");
  sub->add_flag("--json", o->json, "Print one JSON object on standard output");
  sub->footer(kMemoryFooter);
  refuse_empty_values(*sub);
  sub->callback([o] { run(*o); });
}

}  // namespace lastrow::cli
