#include "gpu/simt/report.h"

#include <algorithm>

namespace lastrow::simt {
namespace {

struct Totals {
  int64_t wanted = 0, moved = 0, n_passes = 0, n_best_passes = 0;
};

Totals totals(const KernelTraffic& kernel) {
  Totals t;
  for (const SiteTraffic& site : kernel.sites) {
    if (site.space == Space::global) {
      t.wanted += site.bytes;
      t.moved += 32 * site.n_sectors;
    }
    t.n_passes += site.n_passes;
    t.n_best_passes += site.n_best_passes;
  }
  return t;
}

/// 1234567 → "1,234,567".
std::string with_commas(int64_t n) {
  std::string digits = std::to_string(n);
  for (auto i = static_cast<int64_t>(digits.size()) - 3; i > 0; i -= 3)
    digits.insert(static_cast<size_t>(i), ",");
  return digits;
}

std::string count(int64_t n, const char* one, const char* many) {
  return fmt::format("{} {}", with_commas(n), n == 1 ? one : many);
}

double percent(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

const char* name_of(Access access) {
  static constexpr const char* kNames[] = {"load", "store", "atomic", "copy"};
  return kNames[static_cast<size_t>(access)];
}

std::string site_line(const SiteTraffic& s) {
  const bool global = s.space == Space::global;
  const int64_t cost = global ? s.n_sectors : s.n_passes, best = global ? s.n_best_sectors : s.n_best_passes;
  const double per = static_cast<double>(s.n_executions);
  return fmt::format("  {:<26} {:<14} {:<6} {:>7} B {:>11} {:>6.0f} % {:>8.1f} {:<7} {:>5.0f} %\n",
                     fmt::format("{}:{}", s.file, s.line), s.array, name_of(s.access), s.lane_bytes,
                     with_commas(s.n_executions), percent(s.n_partial, s.n_executions),
                     static_cast<double>(cost) / per, global ? "sectors" : "passes", percent(best, cost));
}

std::string kernel_report(const KernelTraffic& k) {
  const Totals t = totals(k);
  std::string text = fmt::format("{}   grid {} of {} threads, {} of shared memory per block\n", k.kernel,
                                 k.grid.to_string(), k.block.size(), count(k.shared_bytes, "byte", "bytes"));
  text += fmt::format("  {}, {}, {} of them counted: {}, {}, {}, {}{}\n",
                      count(k.n_launches, "launch", "launches"), count(k.n_blocks, "block", "blocks"),
                      with_commas(k.n_blocks_observed), count(k.n_barriers, "barrier", "barriers"),
                      count(k.n_shuffles, "shuffle", "shuffles"), count(k.n_votes, "vote", "votes"),
                      count(k.n_warp_syncs, "warp sync", "warp syncs"),
                      k.n_mmas > 0 ? ", " + count(k.n_mmas, "mma", "mmas") : "");
  text += fmt::format("  global memory: {} bytes requested by lanes, {} moved in sectors of 32 bytes\n",
                      with_commas(t.wanted), with_commas(t.moved));
  if (t.n_passes > 0)
    text += fmt::format("  shared memory: {} passes, {} of them for bank conflicts\n",
                        with_commas(t.n_passes), with_commas(t.n_passes - t.n_best_passes));
  text += fmt::format("  {:<26} {:<14} {:<6} {:>9} {:>11} {:>8} {:>16} {:>7}\n", "line", "array", "access",
                      "per lane", "executions", "partial", "each", "of best");
  for (const SiteTraffic& site : k.sites) text += site_line(site);
  return text;
}

}  // namespace

std::string report(std::span<const KernelTraffic> kernels) {
  std::string text;
  for (const KernelTraffic& kernel : kernels) text += (text.empty() ? "" : "\n") + kernel_report(kernel);
  if (!text.empty())
    text +=
        "\nCounted per warp instruction.\n"
        "  partial   share of executions in which a live lane took no part\n"
        "  each      sectors of 32 bytes (global memory) or bank passes (shared memory) of one execution\n"
        "  of best   the least that the same bytes need, as a share of what they took\n";
  return text;
}

}  // namespace lastrow::simt
