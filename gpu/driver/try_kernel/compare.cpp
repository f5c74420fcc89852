#include "gpu/driver/try_kernel/compare.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/error.h"
#include "gpu/driver/agreement.h"
#include "gpu/driver/case_shape.h"
#include "gpu/driver/output.h"
#include "gpu/driver/timed_shapes.h"
#include "gpu/driver/watchdog.h"
#include "gpu/emulated_backend.h"
#include "gpu/simt/report.h"

namespace lastrow::driver {
namespace {

/// The own rung, and the rungs to compare it with.
std::vector<std::string> compared_rungs(const Runner& runner, const std::string& own,
                                        const gpu::AttendShape& shape) {
  std::vector<std::string> rungs = {own};
  const auto add = [&](const std::string& rung) {
    if (runner.why_not(rung, shape).empty() && std::find(rungs.begin(), rungs.end(), rung) == rungs.end())
      rungs.push_back(rung);
  };
  const std::vector<RungInfo> ladder = runner.rungs();
  for (size_t i = 0; i < std::min<size_t>(2, ladder.size()); ++i) add(ladder[i].name);
  add(emulated_kernel_for(shape));
  return rungs;
}

/// Of the first column of a table, which is headed "kernel".
size_t kernel_width(std::vector<std::string> rungs) {
  rungs.emplace_back("kernel");
  return width_of(rungs);
}

// ---- counts

/// The first problem that the rung takes, or none.
std::optional<judge::AttendCase> counted_case(const Runner& runner, const std::string& own) {
  for (const judge::SequenceSize size : {judge::SequenceSize{1, 300}, judge::SequenceSize{64, 64}})
    for (const DType type : {DType::f32, DType::bf16, DType::f16, DType::fp8_e4m3, DType::i8}) {
      const judge::AttendCase c{
          .n_q_heads = 8, .n_kv_heads = 2, .head_dim = 64, .sequences = {size}, .kv_dtype = type};
      if (runner.why_not(own, judge::task_of(c, judge::lay_out(c)).shape).empty()) return c;
    }
  return std::nullopt;
}

struct Counts {
  int64_t kv_wanted = 0, kv_sectors = 0, other_sectors = 0;  // bytes that lanes wanted; sectors of 32 bytes
  int64_t passes = 0, best_passes = 0;                       // of shared memory
  int64_t barriers = 0, shuffles = 0, blocks = 0;

  explicit Counts(const std::vector<simt::KernelTraffic>& kernels) {
    for (const simt::KernelTraffic& kernel : kernels) {
      barriers += kernel.n_barriers, shuffles += kernel.n_shuffles, blocks += kernel.n_blocks;
      for (const simt::SiteTraffic& site : kernel.sites) add(site);
    }
  }
  void add(const simt::SiteTraffic& site) {
    const bool kv = site.array == "g_k" || site.array == "g_v";
    if (kv) kv_wanted += site.bytes;
    (kv ? kv_sectors : other_sectors) += site.n_sectors;
    passes += site.n_passes, best_passes += site.n_best_passes;
  }
};

std::string counts_row(const std::string& rung, size_t width, const Counts& c, double kv_bytes) {
  constexpr int64_t kSectorBytes = 32;
  const double moved = static_cast<double>(c.kv_sectors * kSectorBytes);
  return fmt::format("{:<{}} {:>11.1f} × {:>10.1f} × {:>12} {:>14} {:>9} {:>9} {:>7}\n", rung, width,
                     static_cast<double>(c.kv_wanted) / kv_bytes, moved / kv_bytes,
                     c.other_sectors * kSectorBytes, c.passes - c.best_passes, c.barriers, c.shuffles,
                     c.blocks);
}

// ---- times

/// A decode of 4,096 keys, or a prefill of 512, in the first type and head_dim that the rung takes. The first
/// rungs would need seconds for more.
std::optional<TimedShape> timed_shape(const Runner& runner, const std::string& own, bool decode) {
  for (const int32_t head_dim : {128, 64})
    for (const DType type : {DType::bf16, DType::f32, DType::f16, DType::fp8_e4m3, DType::i8}) {
      const TimedShape shape{32, 8, head_dim, 1, decode ? 1 : 512, decode ? 4096 : 512, type, 0};
      if (runner.why_not(own, shape.shape()).empty()) return shape;
    }
  return std::nullopt;
}

std::string time_row(const TimedShape& shape, const std::string& rung, size_t width, const Timing& t) {
  return fmt::format("{:<{}} {:>11.1f} {:>11.1f}–{:<11.1f} {:>7.0f} {:>10} {:>11.1f}   {}\n", rung, width,
                     t.median_us, t.low_us, t.high_us,
                     static_cast<double>(shape.kv_bytes()) / t.median_us / 1e3, t.registers,
                     static_cast<double>(t.shared_bytes) / 1024,
                     t.difference <= agreement_bound(rung)
                         ? ""
                         : fmt::format("DIFFERS from {} by {:.2g}", t.compared_with, t.difference));
}

}  // namespace

std::string compare_counts(Runner& runner, const std::string& own) {
  const std::optional<judge::AttendCase> chosen = counted_case(runner, own);
  if (!chosen) return fmt::format("{} takes no shape that could be counted\n", own);
  const judge::JudgedCase judged = judge::judged_case(*chosen);
  runner.load(judged);
  const gpu::AttendShape shape = judge::task_of(judged.c, judged.layout).shape;
  const double kv_bytes = 2.0 * judged.c.sequences[0].kv_len * judged.c.n_kv_heads * judged.c.head_dim *
                          static_cast<double>(size_of(judged.c.kv_dtype.k));
  std::string text = fmt::format("\nCounted at {}:\n\n", judge::describe(judged.c));
  std::string rows;
  const std::vector<std::string> rungs = compared_rungs(runner, own, shape);
  const size_t width = kernel_width(rungs);
  for (const std::string& rung : rungs) {
    const std::vector<simt::KernelTraffic> kernels = runner.count(rung);
    if (rung == own) text += simt::report(kernels);
    rows += counts_row(rung, width, Counts(kernels), kv_bytes);
  }
  text +=
      fmt::format("\n{:<{}} {:>13} {:>12} {:>12} {:>14} {:>9} {:>9} {:>7}\n", "kernel", width, "K, V wanted",
                  "K, V moved", "other bytes", "bank conflicts", "barriers", "shuffles", "blocks");
  text += rows;
  return text +
         fmt::format("K and V are {:.0f} bytes: 1.0 × is the least that a kernel must read.\n", kv_bytes);
}

std::string compare_times(Runner& runner, const std::string& own, double patience) {
  Watchdog watchdog(patience);
  std::string text;
  for (const bool decode : {true, false}) {
    const std::optional<TimedShape> shape = timed_shape(runner, own, decode);
    if (!shape) continue;
    const std::vector<std::string> rungs = compared_rungs(runner, own, shape->shape());
    const size_t width = kernel_width(rungs);
    text += fmt::format("\nTimed at {}{} on {}:\n\n{:<{}} {:>11} {:>23} {:>7} {:>10} {:>11}\n", shape->name(),
                        decode ? "" : " (prefill)", runner.device().device, "kernel", width, "µs",
                        "10–90 % of samples", "GB/s", "registers", "shared KiB");
    const std::string other = emulated_kernel_for(shape->shape());
    for (const std::string& rung : rungs) {
      const auto watch = watchdog.watch(fmt::format("{} at {}, timed", rung, shape->name()));
      text += time_row(*shape, rung, width, runner.time(rung, shape->shape(), other));
    }
  }
  return text.empty() ? fmt::format("{} takes none of the shapes that are timed\n", own) : text;
}

}  // namespace lastrow::driver
