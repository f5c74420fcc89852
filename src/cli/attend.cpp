// `lastrow attend`: attention on anyone's tensors, so that a reader can check an implementation of his own.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <memory>

#include "cli/arguments.h"
#include "cli/attention_file.h"
#include "cli/backend_flags.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "io/atomic_file.h"
#include "io/output_files.h"

namespace lastrow::cli {
namespace {

struct AttendOptions {
  std::string in, out;
  BackendFlags backend;
  bool probe = false;
};

/// Legal, and infectious: the reader should know where it came from.
void note_if_not_finite(const char* name, ConstTensorView tensor) {
  const float* x = tensor.data<float>();
  for (int64_t i = 0; i < tensor.size(); ++i)
    if (!std::isfinite(x[i]))
      return note(fmt::format(
          "{} holds NaN or infinity, first at element {}; whatever depends on it will too", name, i));
}

void run(const AttendOptions& o) {
  require_different_files({{"--in", o.in}}, {{"--out", o.out}});
  const AttentionInput input = read_attention_input(o.in);
  const auto backend = o.backend.make();
  AtomicFile{o.out};  // refuses a place that cannot be written, before the work
  note_if_not_finite("q", input.q);
  note_if_not_finite("k", input.k);
  note_if_not_finite("v", input.v);

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
  AtomicFile file(o.out);
  write_attention_output(output, file);
  file.finish();
  const std::string kernel = backend->info().attend_kernel;
  print(fmt::format("{}: out {}, lse {}{}, by {}{}, {}, scale {}\n", o.out, output.out.shape().to_string(),
                    output.lse.shape().to_string(),
                    o.probe ? fmt::format(", scores and probs {}", output.scores.shape().to_string()) : "",
                    o.backend.name(), kernel.empty() ? "" : " with " + kernel,
                    input.spec.mask.causal ? "causal" : "not causal", input.spec.scale));
  print(o.backend.report(*backend));
  file.commit();
}

constexpr const char* kFooter =
    "The input holds f32 tensors q [q_len, n_q_heads, head_dim], k and v [kv_len, n_kv_heads, head_dim], "
    "and\n"
    "optional metadata: causal (\"true\", the default, or \"false\") and scale (default 1/√head_dim). "
    "Causal, query t\n"
    "sees the keys up to index kv_len − q_len + t: the queries are the last of the sequence.\n"
    "The output holds, in f32, out [q_len, n_q_heads, head_dim] and lse [q_len, n_q_heads] (natural log; "
    "−inf, and\n"
    "out 0, where a query sees no key); with --probe also scores (scaled; −inf where masked) and probs\n"
    "[n_q_heads, q_len, kv_len].\n\n"
    "Example:\n"
    "  lastrow attend --in qkv.safetensors --out attended.safetensors --backend naive-f64 --probe\n"
    "  lastrow attend --in qkv.safetensors --out k05.safetensors --backend cuda-emulated --kernel k05 "
    "--simt-report";

}  // namespace

void add_attend(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("attend", "Attention on your own tensors, from file to file");
  const auto o = std::make_shared<AttendOptions>();
  sub->add_option("--in", o->in, "A safetensors file with q, k and v")->required();
  sub->add_option("--out", o->out, "The safetensors file to write")->required();
  o->backend.add_to(*sub);
  sub->add_flag("--probe", o->probe, "Write scores and probabilities too");
  sub->footer(kFooter);
  refuse_empty_values(*sub);
  sub->callback([o] { run(*o); });
}

}  // namespace lastrow::cli
