// `lastrow info`: how this program was built, and what it can use on this machine.
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <CLI/CLI.hpp>
#include <Eigen/Core>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "backend/vector_rows.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "cost/memory.h"
#include "gpu/parts/attend_call.h"
#include "model/model.h"
#include "registry/registry.h"

namespace lastrow::cli {
namespace {

using nlohmann::ordered_json;

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "gcc " __VERSION__;
#endif

/// The vector instruction sets that the compiler was allowed to use.
const std::set<std::string> kCompiled = {
#if defined(__AVX__)
    "avx",
#endif
#if defined(__AVX2__)
    "avx2",
#endif
#if defined(__FMA__)
    "fma",
#endif
#if defined(__F16C__)
    "f16c",
#endif
#if defined(__AVX512F__)
    "avx512f",
#endif
#if defined(__AVX512BF16__)
    "avx512bf16",
#endif
#if defined(__ARM_NEON)
    "neon",
#endif
};

#if defined(__x86_64__) && defined(__GNUC__)
/// Like __builtin_cpu_supports("f16c"), a name that clang 14 does not know. F16C uses the registers of AVX.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("avx") != 0 && __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

/// The name of each instruction set, and whether this processor has it.
std::vector<std::pair<std::string, bool>> instruction_sets() {
#if defined(__x86_64__) && defined(__GNUC__)
  return {{"avx", __builtin_cpu_supports("avx") != 0},
          {"avx2", __builtin_cpu_supports("avx2") != 0},
          {"fma", __builtin_cpu_supports("fma") != 0},
          {"f16c", has_f16c()},
          {"avx512f", __builtin_cpu_supports("avx512f") != 0},
          {"avx512bf16", __builtin_cpu_supports("avx512bf16") != 0}};
#else
  return {{"neon", kCompiled.contains("neon")}};
#endif
}

ordered_json library_versions() {
  const auto version = [](int major, int minor, int patch) {
    return fmt::format("{}.{}.{}", major, minor, patch);
  };
  return {{"Eigen", version(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION)},
          {"Highway", vector_rows::is_built() ? vector_rows::description() : "not in this build"},
          {"fmt", version(FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
          {"nlohmann_json",
           version(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
          {"CLI11", CLI11_VERSION}};
}

ordered_json backends() {
  ordered_json list = ordered_json::array();
  for (const BackendEntry& e : list_backends()) {
    list.push_back({{"name", e.name}, {"usable", e.usable}, {"description", e.description}});
    if (!e.usable) list.back()["why_not"] = e.why_not;
  }
  return list;
}

/// The kernels of the ladder. For each: the built-in models whose prefill or decode it is chosen for.
ordered_json kernels() {
  ordered_json list = ordered_json::array();
  for (const KernelEntry& kernel : list_kernels()) {
    ordered_json chosen = ordered_json::array();
    for (const std::string& name : builtin_model_names()) {
      const ModelConfig c = load_model(name)->config();
      gpu::AttendShape shape{.n_q_heads = c.n_q_heads,
                             .n_kv_heads = c.n_kv_heads,
                             .head_dim = c.head_dim,
                             .max_kv_len = c.max_seq_len,
                             .block_len = c.max_seq_len};
      if (kernel_for(shape) == kernel.name) chosen.push_back("decode of " + name);
      shape.n_tokens = shape.max_q_len = c.max_seq_len;
      if (kernel_for(shape) == kernel.name) chosen.push_back("long prefill of " + name);
    }
    list.push_back({{"name", kernel.name}, {"idea", kernel.idea}, {"chosen_for", chosen}});
  }
  return list;
}

/// The types in which a cache stores K and V, as in --kv-dtype.
ordered_json kv_dtypes() {
  ordered_json list = ordered_json::array();
  for (const CacheFormat& format : cache_formats()) list.push_back(format.name);
  return list;
}

ordered_json builtin_models() {
  ordered_json list = ordered_json::array();
  for (const std::string& name : builtin_model_names()) {
    const auto model = load_model(name);
    const ModelConfig& c = model->config();
    list.push_back({{"name", name},
                    {"n_layers", c.n_layers},
                    {"model_dim", c.model_dim},
                    {"n_q_heads", c.n_q_heads},
                    {"n_kv_heads", c.n_kv_heads},
                    {"head_dim", c.head_dim},
                    {"vocab_size", c.vocab_size},
                    {"max_seq_len", c.max_seq_len},
                    {"params", model->n_params()},
                    {"weights_bytes", model->weight_bytes()}});
  }
  return list;
}

ordered_json collect() {
  ordered_json sets = ordered_json::array();
  for (const auto& [name, available] : instruction_sets())
    sets.push_back({{"name", name}, {"compiled", kCompiled.contains(name)}, {"available", available}});
  return {{"version", LASTROW_VERSION},
          {"compiler", kCompiler},
          {"threads", std::max(1u, std::thread::hardware_concurrency())},
          {"instruction_sets", sets},
          {"backends", backends()},
          {"kernels", kernels()},
          {"caches",
           {"contiguous[:window=W][,sinks=N]", "paged[:block=B][,blocks=N]",
            "window[:w=W][,sinks=N][,positions=kept|new][,block=B]",
            "budget:rows=N[,policy=oldest|sinks|heavy|random][,sinks=N][,seed=N]"}},
          {"kv_dtypes", kv_dtypes()},
          {"libraries", library_versions()},
          {"models", builtin_models()}};
}

std::string as_text(const ordered_json& info) {
  const auto text = [](const ordered_json& j) { return j.get<std::string>(); };
  std::string compiled, unused;
  for (const auto& set : info["instruction_sets"])
    if (set["available"] || set["compiled"]) (set["compiled"] ? compiled : unused) += " " + text(set["name"]);
  std::string out =
      fmt::format("lastrow {}, compiled by {}\n\n", text(info["version"]), text(info["compiler"]));
  out += fmt::format("threads           {}\n", info["threads"].get<int>());
  out +=
      fmt::format("instruction sets {} (compiled for)\n", compiled.empty() ? " only the base set" : compiled);
  if (!unused.empty())
    out += fmt::format("                 {} (not used, but this processor has them)\n", unused);
  out += "\nbackends\n";
  for (const auto& b : info["backends"])
    out += fmt::format("  {:<14}  {}{}\n", text(b["name"]), text(b["description"]),
                       b["usable"] ? "" : "  (not usable: " + text(b["why_not"]) + ")");
  out += "\nattention kernels of cuda and cuda-emulated\n";
  for (const auto& k : info["kernels"]) {
    std::string chosen;
    for (const auto& c : k["chosen_for"]) chosen += (chosen.empty() ? "" : ", ") + text(c);
    out += fmt::format("  {:<14}  {}\n", text(k["name"]), text(k["idea"]));
    if (!chosen.empty()) out += fmt::format("  {:<14}  chosen for {}\n", "", chosen);
  }
  const auto joined = [&](const ordered_json& list) {
    std::string all;
    for (const auto& item : list) all += (all.empty() ? "" : ", ") + text(item);
    return all;
  };
  out += fmt::format("\nK/V caches\n  {:<14}  {}\n  {:<14}  {}, or k=TYPE,v=TYPE\n", "--cache",
                     joined(info["caches"]), "--kv-dtype", joined(info["kv_dtypes"]));
  out += "\nlibraries\n";
  for (const auto& [name, version] : info["libraries"].items())
    out += fmt::format("  {:<14}  {}\n", name, text(version));
  out += "\nbuilt-in models\n";
  for (const auto& m : info["models"])
    out += fmt::format("  {:<14}  {} layers, {} query heads, {} K/V heads, context {}, {} parameters\n",
                       text(m["name"]), m["n_layers"].get<int>(), m["n_q_heads"].get<int>(),
                       m["n_kv_heads"].get<int>(), m["max_seq_len"].get<int>(),
                       with_commas(m["params"].get<int64_t>()));
  if (info["models"].empty()) out += "  none in this build\n";
  return out;
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("info", "Show backends, kernels, libraries and built-in models");
  const auto json = std::make_shared<bool>(false);
  sub->add_flag("--json", *json, "Print one JSON object on standard output");
  sub->footer(R"(--json prints one object:

  version, compiler, threads
  instruction_sets         {name, compiled: the compiler may use it, available: this processor has it}
  backends                 {name, usable, description, and why_not if it is not usable}
  kernels                  of cuda and cuda-emulated: {name, idea, chosen_for: built-in models}
  caches, kv_dtypes        the spellings of --cache, and the types of --kv-dtype
  libraries                {name: version}
  models                   built in: {name, n_layers, model_dim, n_q_heads, n_kv_heads, head_dim, vocab_size,
                           max_seq_len, params, weights_bytes}

Example:
  lastrow info)");
  refuse_empty_values(*sub);
  sub->callback([json] {
    const ordered_json info = collect();
    if (*json)
      print_json(info);
    else
      print(as_text(info));
  });
}

}  // namespace lastrow::cli
