// Runs the kernel in the emulator with all its checks. Compares the scores with sums in double precision, and
// the traffic with that of the first two rungs of the ladder on the same keys.
//
// With a file, it judges a whole kernel instead: it becomes lastrow-kernels --try FILE, whose exit status has the same
// meaning (0 done, 1 not yet, 2 it could not run). Options behind the file go there too.
#include "lessons/exercises/score_row.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "gpu/simt/traffic.h"
#include "judge/attend_case.h"
#include "lessons/exercises/checkers/checker.h"
#include "registry/registry.h"

using namespace lastrow;
using namespace lastrow::exercises;
using lastrow::judge::random_tensor;

namespace {

constexpr int64_t kSectorBytes = 32;

struct Problem {
  Tensor q, k;  // [head_dim], [kv_len, head_dim]
  float scale;
  int32_t kv_len() const { return static_cast<int32_t>(k.shape()[0]); }
  int32_t head_dim() const { return static_cast<int32_t>(k.shape()[1]); }
};

Problem random_problem(int32_t kv_len, int32_t head_dim) {
  return {random_tensor({head_dim}, 7, 0), random_tensor({kv_len, head_dim}, 7, 1),
          1 / std::sqrt(static_cast<float>(head_dim))};
}

/// q = (1, 2, 3, 4), k[s] = (s, 0, 0, 1), scale 1: score s + 4.
Problem problem_by_eye(int32_t kv_len) {
  Problem p{Tensor::host(DType::f32, {4}), Tensor::host(DType::f32, {kv_len, 4}), 1};
  for (int32_t d = 0; d < 4; ++d) p.q.data<float>()[d] = static_cast<float>(d + 1);
  for (int32_t s = 0; s < kv_len; ++s) {
    p.k.data<float>()[4 * s] = static_cast<float>(s);
    p.k.data<float>()[4 * s + 3] = 1;
  }
  return p;
}

const char* hint_for(simt::Finding finding) {
  switch (finding) {
    case simt::Finding::out_of_bounds:
      return "In the last block, some warps have no key (s ≥ kv_len). In the last round, some lanes have no "
             "element "
             "(d ≥ head_dim). They must not read or write.";
    case simt::Finding::absent_lane:
      return "warp_sum shuffles, so all 32 lanes must call it, also lanes that have nothing to add.";
    case simt::Finding::barrier_not_reached:
      return "All threads of a block must reach a __syncthreads. A warp without a key that has returned does "
             "not.";
    case simt::Finding::shared_race:
    case simt::Finding::uninitialised_shared:
      return "A lane may read what another lane wrote to shared memory only after __syncwarp (in the same "
             "warp) or "
             "__syncthreads.";
    default:
      return "The message names the kernel, block, thread and line.";
  }
}

/// Runs the kernel. Throws Wrong if the emulator finds something or a score differs.
simt::KernelTraffic compare(const Problem& p, simt::Watch watch) {
  Fenced<float> scores(p.kv_len());
  simt::Device device(1);
  device.watch(watch);
  const emulated::ScoreRow operands{.g_q = {p.q.data<float>(), p.q.size(), "g_q"},
                                    .g_k = {p.k.data<float>(), p.k.size(), "g_k"},
                                    .g_scores = {scores.data(), p.kv_len(), "g_scores"},
                                    .kv_len = p.kv_len(),
                                    .head_dim = p.head_dim(),
                                    .scale = p.scale};
  const auto n_blocks =
      static_cast<uint32_t>((p.kv_len() + emulated::kScoreWarps - 1) / emulated::kScoreWarps);
  try {
    emulated::launch(emulated::Kernel{"score_row", emulated::score_row}, {n_blocks},
                     {emulated::kScoreWarps * emulated::kWarpSize}, 0, &device, operands);
  } catch (const simt::SimtError& error) {
    throw Wrong{fmt::format("the emulator stopped it. {}", error.what()), hint_for(error.finding)};
  }
  std::vector<double> expected, magnitude;
  for (int32_t s = 0; s < p.kv_len(); ++s) {
    double sum = 0, of_terms = 0;
    for (int32_t d = 0; d < p.head_dim(); ++d) {
      const double term = double{p.q.data<float>()[d]} * p.k.data<float>()[int64_t{s} * p.head_dim() + d];
      sum += term;
      of_terms += std::abs(term);
    }
    expected.push_back(sum * p.scale);
    magnitude.push_back(of_terms * p.scale);
  }
  bool unscaled = p.scale != 1;
  for (int32_t s = 0; s < p.kv_len(); ++s)
    unscaled = unscaled && std::abs(scores[s] * double{p.scale} - expected[s]) < 1e-3 * magnitude[s];
  // Each product, each sum and the scale round by half an epsilon of the magnitude of the terms.
  const double bound = (p.head_dim() + 1) * double{std::numeric_limits<float>::epsilon()} *
                       *std::max_element(magnitude.begin(), magnitude.end());
  require_same(
      scores, expected, bound,
      [&](int64_t s) {
        return fmt::format("kv_len {}, head_dim {}: g_scores[{}]", p.kv_len(), p.head_dim(), s);
      },
      unscaled ? "The sums are right, but a score is scale · sum."
               : "Lane l reads the elements l, l + 32, l + 64, … below head_dim.");
  return device.traffic().empty() ? simt::KernelTraffic{} : device.traffic().front();
}

/// The loads of g_k, counted per warp.
struct KeyTraffic {
  int64_t n_loads = 0, n_sectors = 0, bytes = 0;  // sectors of 32 bytes; bytes that lanes wanted
  int64_t needed = 0;                             // number of sectors that the keys take

  void add(const simt::KernelTraffic& kernel) {
    for (const simt::SiteTraffic& site : kernel.sites)
      if (site.array == "g_k" && site.access == simt::Access::load)
        n_loads += site.n_executions, n_sectors += site.n_sectors, bytes += site.bytes;
  }
  std::vector<std::string> row(const std::string& name) const {
    const auto ratio = [](int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); };
    return {name, fmt::format("{:.1f}", ratio(bytes, 4 * n_loads)),
            fmt::format("{:.1f}", ratio(n_sectors, n_loads)),
            fmt::format("{:.0f} %", 100 * ratio(n_sectors, needed))};
  }
};

/// A rung with 32 heads: k01 has one thread per head, so its warps are full.
KeyTraffic of_rung(const std::string& rung, int32_t kv_len, int32_t head_dim) {
  constexpr int32_t kHeads = emulated::kWarpSize;
  const auto backend =
      make_backend("cuda-emulated", {.kernel = rung, .report = true, .report_blocks = 1 << 20}, 1);
  lastrow::judge::attend(
      *backend,
      {.n_q_heads = kHeads, .n_kv_heads = kHeads, .head_dim = head_dim, .sequences = {{1, kv_len}}});
  KeyTraffic total{.needed = kHeads * kv_len * head_dim * 4 / kSectorBytes};
  for (const simt::KernelTraffic& kernel : traffic(*backend))
    if (kernel.kernel.starts_with(rung)) total.add(kernel);
  return total;
}

void compare_traffic(Checker& c) {
  constexpr int32_t kKeys = 20, kHeadDim = 128;
  KeyTraffic yours{.needed = kKeys * kHeadDim * 4 / kSectorBytes};
  yours.add(
      compare(random_problem(kKeys, kHeadDim), {.check = true, .report = true, .n_sample_blocks = 1 << 20}));
  const std::vector<std::string> head = {"loads of g_k", "floats per load", "sectors per load",
                                         "moved / needed"};
  const std::vector<std::vector<std::string>> rows = {
      yours.row("yours"), of_rung("k01", kKeys, kHeadDim).row("k01, a thread per row"),
      of_rung("k02", kKeys, kHeadDim).row("k02, a warp per row")};
  if (yours.n_sectors > yours.needed)
    throw Wrong{
        fmt::format("the scores are right, but loads of g_k move {} sectors of 32 bytes, expected "
                    "{}: the size of {} keys of {} floats",
                    yours.n_sectors, yours.needed, kKeys, kHeadDim),
        "In one load the 32 lanes should read 32 neighbouring elements: lane l reads element d + l, and in "
        "the next load d + l + 32. Then each sector moves only once.",
        head, rows};
  c.passed();
  c.screen().table(head, rows);
}

void check_07(Checker& c) {
  c.tries("one block of 4 warps, with the scores 4, 5, 6, 7");
  compare(problem_by_eye(4), {.check = true});
  c.tries("one more key: three warps of the second block have no key");
  compare(problem_by_eye(5), {.check = true});
  c.tries("kv_len 1, 3, 33 and 65; head_dim 1, 8, 31, 33, 80 and 128");
  for (const int32_t kv_len : {1, 3, 33, 65})
    for (const int32_t head_dim : {1, 8, 31, 33, 80, 128})
      compare(random_problem(kv_len, head_dim), {.check = true});
  c.tries("how much the loads of g_k move: kv_len 20, head_dim 128");
  compare_traffic(c);
}

/// Returns only if the program cannot be started.
int try_whole_kernel(int argc, char** argv) {
  std::vector<char*> command = {const_cast<char*>(LASTROW_KERNELS), const_cast<char*>("--try")};
  command.insert(command.end(), argv + 1, argv + argc);
  command.push_back(nullptr);
  ::execv(command[0], command.data());
  std::fputs(fmt::format("check 07: {} cannot be started ({}): build the target lastrow_kernels\n",
                         LASTROW_KERNELS, std::strerror(errno))
                 .c_str(),
             stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && argv[1][0] != '-') return try_whole_kernel(argc, argv);
  return run_checker(argc, argv,
                     {7, "a kernel", "lessons/exercises/07_score_row.cu",
                      "Now look at gpu/ladder/k02_warp_per_row.cu: your loop is its first pass. Then look at "
                      "k05_vector_loads.cu: each lane loads 16 bytes at once, so it needs a quarter of the "
                      "loads. Then write a "
                      "whole kernel: `build/bin/lastrow-kernels --template > my.cu` prints one to begin "
                      "with, and `lessons/check 07 my.cu` checks and counts it beside the ladder "
                      "(gpu/README.md)."},
                     check_07);
}
