#include "cli/attention_table.h"

#include <chrono>

#include "cli/terminal.h"
#include "judge/tolerance.h"

namespace lastrow::cli {
namespace {

using judge::difference;

struct Result {
  std::vector<double> out, lse;
};

std::vector<double> doubles(const Tensor& x) { return {x.data<float>(), x.data<float>() + x.size()}; }

Result run_attention(const AttentionInput& input, Backend& backend,
                     FunctionRef<void(int64_t, int64_t)> on_progress) {
  const AttentionOutput output = attend(input, backend, /*probe=*/false, on_progress);
  return {doubles(output.out), doubles(output.lse)};
}

std::vector<std::string> compared_names() {
  std::vector<std::string> names;
  for (const BackendEntry& backend : list_backends()) {
    if (!backend.usable || backend.name == "naive-f64") continue;
    if (!backend.has_kernels)
      names.push_back(backend.name);
    else
      for (const KernelEntry& kernel : list_kernels()) names.push_back(backend.name + ":" + kernel.name);
  }
  return names;
}

}  // namespace

std::string comparison_table(const AttentionInput& input, const BackendFlags& flags) {
  Progress progress("attend");
  const auto quietly = [](int64_t, int64_t) {};
  NaiveBackend<double> f64;
  const Result reference = run_attention(input, f64, quietly);
  double out_yardstick = 0, lse_yardstick = 0;
  for (uint64_t order = 1; order <= judge::kYardstickOrders; ++order) {
    NaiveBackend<float> reordered(order);
    const Result r = run_attention(input, reordered, quietly);
    out_yardstick = std::max(out_yardstick, difference(r.out, reference.out).largest);
    lse_yardstick = std::max(lse_yardstick, difference(r.lse, reference.lse).largest);
  }
  const double out_bound = judge::tolerance_of(out_yardstick, reference.out),
               lse_bound = judge::tolerance_of(lse_yardstick, reference.lse);

  std::string table =
      fmt::format("{:<20}{:>12}{:>12}   {}\n{:<20}{:>12.3g}{:>12.3g}\n", "against naive-f64", "out error",
                  "lse error", "within the bound", "bound", out_bound, lse_bound);
  const std::vector<std::string> names = compared_names();
  for (size_t i = 0; i < names.size(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    try {
      const auto backend = flags.make(names[i]);
      const Result r = run_attention(input, *backend, [&](int64_t done, int64_t total) {
        progress.at(static_cast<int64_t>(i), std::ssize(names));
        const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
        flags.require_in_time(names[i], elapsed.count(),
                              static_cast<double>(done) / static_cast<double>(total));
      });
      const std::string kernel = backend->info().attend_kernel;
      if (const size_t why = kernel.find(" ("); why != kernel.npos) {  // another kernel had to take the call
        table += fmt::format("{:<20}{}\n", names[i], kernel.substr(why + 1));
        continue;
      }
      const double out = difference(r.out, reference.out).largest,
                   lse = difference(r.lse, reference.lse).largest;
      table += fmt::format("{:<20}{:>12.3g}{:>12.3g}   {}\n", names[i], out, lse,
                           out <= out_bound && lse <= lse_bound ? "yes" : "no");
    } catch (const Error& e) {  // the other rows are still computed
      table += fmt::format("{:<20}{}\n", names[i], e.what());
    }
  }
  return table;
}

}  // namespace lastrow::cli
