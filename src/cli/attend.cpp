// `lastrow attend`: attention on anyone's tensors, so that a reader can check an implementation of his own.
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
  std::optional<int32_t> window;
  BackendFlags backend;
  bool probe = false;
};

InputOptions input_options(const AttendOptions& o) {
  if (o.layout != "shd" && o.layout != "bhsd")
    throw UsageError(
        "unknown layout '{}': use shd, [tokens, heads, head_dim], or bhsd, [batch, heads, "
        "tokens, head_dim]",
        o.layout);
  InputOptions options{.bhsd = o.layout == "bhsd", .kv_dtype = {}, .window = o.window};
  if (!o.kv_dtype.empty()) options.kv_dtype = kv_dtype_from_name(o.kv_dtype);
  return options;
}

/// What was read and how it is attended to, as one line says it.
std::string words(const AttentionInput& input) {
  const std::string window =
      input.spec.mask.window == 0 ? "" : fmt::format(", window {}", input.spec.mask.window);
  return fmt::format("K/V in {}, {}{}, scale {}", kv_dtype_name(input.kv_dtype),
                     input.spec.mask.causal ? "causal" : "not causal", window, input.spec.scale);
}

/// NaN if one of them is.
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
  if (o.backend.reports()) throw UsageError("--simt-report is of one kernel: name it instead of all");
  if (o.backend.names_kernel()) throw UsageError("--backend all runs every kernel: drop --kernel");
}

void compare_all(const AttendOptions& o, const AttentionInput& input) {
  for (const std::string& line : notes_on_input(input)) note(line);
  print(fmt::format("{}: {}\n\n{}", o.in, words(input), table_of_all(input, o.backend)));
}

void run(const AttendOptions& o) {
  require_right(o);
  require_different_files({{"--in", o.in}}, {{"--out", o.out}});
  const AttentionInput input = read_attention_input(o.in, input_options(o));
  if (o.backend.name() == "all") return compare_all(o, input);
  const auto backend = o.backend.make();
  AtomicFile{o.out};  // refuses a place that cannot be written, before the work
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
                    o.backend.name(), kernel.empty() ? "" : " with " + kernel, words(input)));
  if (o.probe)
    print(fmt::format("lse of these scores is at most {:.3g} from that which attend wrote\n",
                      largest(output.lse_distance)));
  print(o.backend.report(*backend));
  file.commit();
}

constexpr const char* kFooter =
    "The input is safetensors, or .npz by its name (numpy.savez). It holds q [q_len, n_q_heads, head_dim] "
    "in\n"
    "f32, f16 or bf16, and k and v [kv_len, n_kv_heads, head_dim], both in f32, f16, bf16, fp8 (e4m3) or "
    "int8;\n"
    "int8 with k_scale and v_scale, f32 [kv_len, n_kv_heads]: an element is code · scale. Other tensors are\n"
    "ignored. With --layout bhsd they are PyTorch's [batch, heads, tokens, head_dim], scales [batch, heads,\n"
    "tokens], and outputs have that layout too. Optional metadata: causal (\"true\", the default, or "
    "\"false\"),\n"
    "scale (default 1/√head_dim) and window (the last so many keys; default: all). Causal, query t sees the "
    "keys\n"
    "up to index kv_len − q_len + t: the queries are the last of the sequence.\n\n"
    "The output holds, in f32, out [q_len, n_q_heads, head_dim] and lse [q_len, n_q_heads] (natural log; "
    "−inf,\n"
    "and out 0, where a query sees no key); with --probe also scores (scaled; −inf where masked), probs, "
    "the\n"
    "softmax of these scores, both [n_q_heads, q_len, kv_len], and lse_distance [n_q_heads, q_len]: how far\n"
    "the lse of these scores is from lse, which sums in another order.\n\n"
    "K and V are stored as their type in the file, or as --kv-dtype; k09 to k12 take f16, bf16, fp8 and "
    "int8.\n"
    "int8 codes are decoded and encoded anew, each row with the scale of its largest element.\n"
    "--backend all holds every backend and kernel against naive-f64 on the same stored K and V.\n\n"
    "Example:\n"
    "  lastrow attend --in qkv.safetensors --out attended.safetensors --backend naive-f64 --probe\n"
    "  lastrow attend --in qkv.safetensors --out k05.safetensors --backend cuda-emulated --kernel k05 "
    "--simt-report\n"
    "  lastrow attend --in qkv.npz --layout bhsd --kv-dtype f16 --backend all";

}  // namespace

void add_attend(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("attend", "Attention on your own tensors, from file to file");
  const auto o = std::make_shared<AttendOptions>();
  sub->add_option("--in", o->in, "A safetensors or .npz file with q, k and v")->required();
  sub->add_option("--out", o->out, "The safetensors file to write; not with --backend all");
  o->backend.add_to(*sub);
  sub->get_option("--backend")
      ->description(
          "eigen, naive, naive-f64 (double precision), cuda or cuda-emulated; or all: a table of the "
          "errors of each; default eigen");
  sub->add_option("--layout", o->layout,
                  "shd: [tokens, heads, head_dim]; bhsd: [batch, heads, tokens, head_dim]; default shd");
  sub->add_option("--kv-dtype", o->kv_dtype,
                  "Store K and V as f32, f16, bf16, fp8 or int8; default: their type in the file");
  sub->add_option("--window", o->window,
                  "A query sees the last so many keys; 0: all; default: the metadata's");
  sub->add_flag("--probe", o->probe, "Write scores and probabilities too");
  sub->footer(kFooter);
  refuse_empty_values(*sub);
  sub->callback([o] { run(*o); });
}

}  // namespace lastrow::cli
