// `lastrow attend`: attention on the user's own tensors, for example to check another implementation.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "cache/kv_codec.h"
#include "cli/arguments.h"
#include "cli/attention_file.h"
#include "cli/attention_notes.h"
#include "cli/attention_table.h"
#include "cli/backend_flags.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "io/atomic_file.h"
#include "io/output_files.h"

namespace lastrow::cli {
namespace {

struct AttendOptions {
  std::string in, out, layout = "shd", kv_dtype;
  RuleOptions rules;
  BackendFlags backend;
  bool probe = false;
};

InputOptions input_options(const AttendOptions& o) {
  if (o.layout != "shd" && o.layout != "bhsd")
    throw UsageError(
        "unknown layout '{}': use shd for [tokens, heads, head_dim], or bhsd for [batch, heads, tokens, "
        "head_dim]",
        o.layout);
  InputOptions options{.bhsd = o.layout == "bhsd", .kv_dtypes = {}, .rules = o.rules};
  if (!o.kv_dtype.empty()) options.kv_dtypes = kv_dtypes_from_name(o.kv_dtype);
  if (options.kv_dtypes && has_channel_scales(options.kv_dtypes->k))
    throw UsageError(
        "--kv-dtype {}: attend stores each row by itself, but int8-channel needs a cache that fills blocks: "
        "use int8, or try it with lastrow generate --cache paged",
        o.kv_dtype);
  return options;
}

/// A short text for the result line: the packing, the stored types, the mask and the scale.
std::string summary(const AttentionInput& input) {
  const auto& [score, mask] = input.spec;
  const std::string window = mask.window == 0 ? "" : fmt::format(", window {}", mask.window);
  const std::string sinks = mask.sinks == 0 ? "" : fmt::format(", {} sinks", mask.sinks);
  const std::string cap = score.soft_cap == 0 ? "" : fmt::format(", soft cap {}", score.soft_cap);
  const Packing& p = input.packing;
  const std::string packed =
      p.n_seqs() == 1 && !p.paged
          ? ""
          : fmt::format("{} sequence{}{}, ", p.n_seqs(), p.n_seqs() == 1 ? "" : "s",
                        p.paged ? fmt::format(" in blocks of {}", p.block_len) : " packed");
  return fmt::format("{}K/V in {}, {}{}{}, scale {}{}{}", packed, kv_dtypes_name(input.kv_dtypes),
                     mask.causal ? "causal" : "not causal", window, sinks, score.scale, cap,
                     score.alibi_heads == 0 ? "" : ", ALiBi");
}

/// The largest element, or NaN if one is NaN.
double largest(const Tensor& x) {
  double most = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    const float e = x.data<float>()[i];
    if (std::isnan(e)) return e;
    most = std::max(most, double{e});
  }
  return most;
}

void require_right(const AttendOptions& o) {
  if (o.backend.name() != "all") {
    if (o.out.empty()) throw UsageError("--out is missing: name the file to write");
    return;
  }
  if (!o.out.empty() || o.probe)
    throw UsageError("--backend all prints a table and writes nothing: drop --out and --probe");
  if (o.backend.reports())
    throw UsageError("--simt-report works with one kernel only: name it instead of all");
  if (o.backend.names_kernel()) throw UsageError("--backend all runs every kernel: drop --kernel");
}

void compare_all(const AttendOptions& o, const AttentionInput& input) {
  for (const std::string& line : notes_on_input(input)) note(line);
  print(fmt::format("{}: {}\n\n{}", o.in, summary(input), comparison_table(input, o.backend)));
}

void run(const AttendOptions& o) {
  require_right(o);
  require_different_files({{"--in", o.in}}, {{"--out", o.out}});
  const AttentionInput input = read_attention_input(o.in, input_options(o));
  if (o.backend.name() == "all") return compare_all(o, input);
  const auto backend = o.backend.make();
  AtomicFile{o.out};  // refuses a path that cannot be written, before the work
  for (const std::string& line : notes_on_input(input)) note(line);

  AttentionOutput output;
  {
    Progress progress("attend");
    const auto start = std::chrono::steady_clock::now();
    output = attend(input, *backend, o.probe, [&](int64_t done, int64_t total) {
      progress.at(done, total);
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
      o.backend.require_in_time(elapsed.count(), static_cast<double>(done) / static_cast<double>(total));
    });
  }
  for (const std::string& line : notes_on_output(input, output)) note(line);
  AtomicFile file(o.out);
  write_attention_output(input, output, file);
  file.finish();
  const std::string kernel = backend->info().attend_kernel;
  print(fmt::format("{}: out {}, lse {}{}, by {}{}, {}\n", o.out, output.out.shape().to_string(),
                    output.lse.shape().to_string(),
                    o.probe ? fmt::format(", scores and probs {}", output.scores.shape().to_string()) : "",
                    o.backend.name(), kernel.empty() ? "" : " with " + kernel, summary(input)));
  if (o.probe) {
    const double most = largest(output.lse_distance);
    print("the lse of these scores and the lse of the attention " +
          (most == 0 ? "are equal\n" : fmt::format("differ by at most {:.3g}\n", most)));
  }
  print(o.backend.report(*backend));
  file.commit();
}

constexpr const char* kAttendFooter =
    R"(The input is a safetensors file, or an .npz file of numpy.savez. It holds these tensors:

  q                   [q_len, n_q_heads, head_dim]      f32, f16 or bf16
  k, v                [kv_len, n_kv_heads, head_dim]    each f32, f16, bf16, fp8 (e4m3) or int8
  k_scale, v_scale    [kv_len, n_kv_heads]              f32; needed with int8, optional with fp8

Several sequences may be packed one after the other, without padding, and K and V may be in blocks:

  kv_len              [n_seqs]                          i32: the keys of each sequence
  q_len or q_start    [n_seqs] or [n_seqs + 1]          i32: the queries of each, or where each begins
  block_table         [n_seqs, blocks_per_seq]          i32: the blocks of each, -1 where it has fewer

With a block_table, k and v are [n_blocks, n_kv_heads, block_len, head_dim], and scales are
[n_blocks, n_kv_heads, block_len]. A block may occur more than once. Slots that no sequence uses may hold
anything. If there is one sequence, all queries are its queries, and q_len is not needed.

Other tensors are ignored. With scales, an element is code · scale. With --layout bhsd, tensors are
[batch, heads, tokens, head_dim] as in PyTorch, scales are [batch, heads, tokens], and the outputs have this
layout too.

The metadata of a safetensors file may hold these, which options replace:

  causal    "true" or "false"; default "true"
  scale     a number; default 1/√head_dim
  soft_cap  a number: a score x becomes soft_cap · tanh(x / soft_cap); default 0: no cap
  alibi     "true" or "false": a score falls with the distance from query to key, by the slope of its
            head, 2^(-8 (h + 1) / n_q_heads); default "false"
  window    a number of keys: a query sees only the last so many; default 0: all
  sinks     a number of keys: beside the window, the first so many stay visible; default 0

The queries of a sequence are its last tokens. If causal, query t sees the keys up to index
kv_len − q_len + t.

The output is a safetensors file, all in f32:

  out             [q_len, n_q_heads, head_dim]    0 if the query sees no key
  lse             [q_len, n_q_heads]              natural log; −inf if the query sees no key

and with --probe also:

  scores          [n_q_heads, q_len, kv_len]      scaled; −inf where masked
  probs           [n_q_heads, q_len, kv_len]      the softmax of these scores
  lse_distance    [n_q_heads, q_len]              |lse of these scores − lse|; they sum in different orders

For packed sequences, q_len is here the number of queries of all sequences, and kv_len is the largest kv_len.
Behind the keys of a shorter sequence, scores are −inf and probs are 0.

K and V are stored in the types that they have in the file, or in --kv-dtype: one type for both, or
k=TYPE,v=TYPE. k13 takes any two types. The other kernels need the same type for both: k01 to k08 take f32 and
bf16; k09 and k11 take f16, bf16, fp8 and int8; k10 and k12 take f16 and bf16. k09 also takes k=int8,v=fp8. int8 codes are decoded and encoded again: each row gets the scale of its largest element.

--backend all prints a table. It compares every backend and kernel with naive-f64, on the same stored K and V.

Examples:
  lastrow attend --in qkv.safetensors --out attended.safetensors --backend naive-f64 --probe
  lastrow attend --in qkv.safetensors --out k05.safetensors --backend cuda-emulated --kernel k05 --simt-report
  lastrow attend --in qkv.npz --layout bhsd --kv-dtype f16 --backend all)";

}  // namespace

void add_attend(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("attend", "Compute attention on your own tensors, from file to file");
  const auto o = std::make_shared<AttendOptions>();
  sub->add_option("--in", o->in, "The safetensors or .npz file with q, k and v")->required();
  sub->add_option("--out", o->out, "The safetensors file to write; not for --backend all");
  o->backend.add_to(*sub);
  sub->get_option("--backend")
      ->description(
          backend_names() +
          "; naive-f64 computes in double precision; all: a table with the error of each; default eigen");
  sub->add_option("--layout", o->layout,
                  "shd: [tokens, heads, head_dim]; bhsd: [batch, heads, tokens, head_dim]; default shd");
  sub->add_option("--kv-dtype", o->kv_dtype,
                  "Store K and V as f32, f16, bf16, fp8, int8, int4 or fp4, or each in its own type as "
                  "k=TYPE,v=TYPE; default: their types in the file");
  sub->add_option("--window", o->rules.window,
                  "A query sees only the last so many keys; 0: all; default: as in the metadata");
  sub->add_option("--sinks", o->rules.sinks,
                  "Beside the window, the first so many keys stay visible; default: as in the metadata");
  sub->add_option("--scale", o->rules.scale,
                  "The factor of q·k; default: as in the metadata, else 1/√head_dim");
  sub->add_option("--soft-cap", o->rules.soft_cap,
                  "Bound scores to ± this number; 0: no bound; default: as in the metadata");
  sub->add_flag("--alibi", o->rules.alibi, "Lower each score by distance times the slope of its head");
  sub->add_flag("--probe", o->probe, "Also write scores and probabilities");
  sub->footer(kAttendFooter);
  refuse_empty_values(*sub);
  sub->callback([o] { run(*o); });
}

}  // namespace lastrow::cli
