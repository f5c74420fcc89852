// Lesson 10: what makes one attention kernel faster than another?
//
// Decode attention does little arithmetic. It must read every stored byte of K and V once, and cannot be
// faster than that. The kernels in gpu/ladder are a ladder: each rung comes closer to this limit. Here every
// rung runs on the same problem, thread by thread on this CPU (no GPU is needed), and the emulator counts its
// memory accesses as a GPU would.
//
// You will see   how often each rung reads the cache; how well its loads use the 32-byte sectors of memory;
//                its bank conflicts, barriers and shuffles; then the same for prefill; and times, if there is
//                an NVIDIA GPU
// Options        --backend: the judge of the rungs; with cuda or cuda-emulated:kNN, the backend of the
//                generation at the end
// Before this    lessons 1 and 7; gpu/README.md says what is counted and how
// Open           gpu/ladder/k01_naive.cu beside k02_warp_per_row.cu, and so on: each diff is one idea
#include "core/error.h"
#include "cost/memory.h"
#include "gpu/simt/traffic.h"
#include "judge/judged_case.h"
#include "lessons/support/lesson.h"
#include "lessons/support/measure.h"
#include "registry/registry.h"

using namespace lastrow;
using namespace lastrow::lessons;
using lastrow::judge::AttendCase;
using lastrow::judge::AttendResult;
using lastrow::judge::JudgedCase;

namespace {

const AttendCase kDecode{
    .n_q_heads = 8, .n_kv_heads = 2, .head_dim = 64, .sequences = {{1, 300}}, .kv_dtype = DType::bf16};
const AttendCase kPrefill{
    .n_q_heads = 4, .n_kv_heads = 2, .head_dim = 64, .sequences = {{64, 64}}, .kv_dtype = DType::bf16};

constexpr int32_t kAllBlocks = 1 << 20;
constexpr int64_t kSectorBytes = 32;

/// The memory accesses of a rung for one problem, all its kernels together (also a merge, if it needs one).
struct RungRun {
  KernelEntry rung;
  std::string why_not;                         // why it cannot run this problem
  bool ok = false;                             // within the judge's bound
  int64_t cache_bytes = 0, cache_sectors = 0;  // of K and V: bytes that lanes wanted; sectors that were moved
  int64_t passes = 0, best_passes = 0;         // of shared memory
  int64_t barriers = 0, shuffles = 0, blocks = 0;

  double reads(const AttendCase& c) const {
    return static_cast<double>(cache_bytes) / static_cast<double>(stored_bytes(c));
  }
  /// Bytes of K and V that lanes wanted / bytes that were moved.
  double wanted_of_moved() const {
    return static_cast<double>(cache_bytes) / static_cast<double>(cache_sectors * kSectorBytes);
  }
  static int64_t stored_bytes(const AttendCase& c) {
    return int64_t{2} * c.sequences[0].kv_len * c.n_kv_heads * c.head_dim *
           static_cast<int64_t>(size_of(c.kv_dtype.k));
  }
};

RungRun run_rung(const KernelEntry& rung, const JudgedCase& judged) {
  RungRun run;
  run.rung = rung;
  const auto backend =
      make_backend("cuda-emulated", {.kernel = rung.name, .report = true, .report_blocks = kAllBlocks});
  const AttendResult result = judge::attend(*backend, judged.c);
  const std::string ran = backend->info().attend_kernel;
  if (ran != rung.name) {
    run.why_not = ran;
    return run;
  }
  run.ok = judge::verdict(judged, result).ok();
  for (const simt::KernelTraffic& kernel : traffic(*backend)) {
    if (!kernel.kernel.starts_with('k')) continue;  // not the small kernels that store rows
    run.barriers += kernel.n_barriers;
    run.shuffles += kernel.n_shuffles;
    run.blocks += kernel.n_blocks;
    for (const simt::SiteTraffic& site : kernel.sites) {
      run.passes += site.n_passes;
      run.best_passes += site.n_best_passes;
      if (site.array != "g_k" && site.array != "g_v") continue;
      run.cache_bytes += site.bytes;
      run.cache_sectors += site.n_sectors;
    }
  }
  return run;
}

std::vector<RungRun> run_ladder(Lesson& lesson, const JudgedCase& judged) {
  std::vector<RungRun> runs;
  for (const KernelEntry& rung : list_kernels()) {
    lesson.screen().progress(fmt::format("running {} under the emulator …", rung.name));
    runs.push_back(run_rung(rung, judged));
  }
  lesson.screen().progress("");
  return runs;
}

std::string percent(int64_t part, int64_t whole) {
  return whole == 0 ? ""
                    : fmt::format("{:.0f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

void show(Lesson& lesson, const std::vector<RungRun>& runs, const AttendCase& c, const std::string& name) {
  std::vector<std::vector<std::string>> rows;
  for (const RungRun& r : runs) {
    if (!r.why_not.empty()) continue;
    rows.push_back({r.rung.name, fmt::format("{:.2f}", r.reads(c)),
                    fmt::format("{:.0f} %", 100 * r.wanted_of_moved()), percent(r.best_passes, r.passes),
                    fmt::format("{}", r.barriers), fmt::format("{}", r.shuffles),
                    fmt::format("{}", r.blocks)});
    lesson.figure(fmt::format("{}_{}_reads", name, r.rung.name), r.reads(c));
    lesson.figure(fmt::format("{}_{}_asked_of_came", name, r.rung.name), r.wanted_of_moved());
  }
  lesson.screen().table({"rung", "reads of K, V", "wanted", "banks", "barriers", "shuffles", "blocks"}, rows);
  int n_ok = 0, n = 0;
  for (const RungRun& r : runs)
    if (r.why_not.empty()) ++n, n_ok += r.ok ? 1 : 0;
  lesson.figure(name + "_rungs", n);
  lesson.require(
      n_ok == n,
      fmt::format("{} of {} rungs give the rows of the double-precision judge, within its bound", n_ok, n));
}

const RungRun& rung(const std::vector<RungRun>& runs, std::string_view name) {
  for (const RungRun& r : runs)
    if (r.rung.name == name && r.why_not.empty()) return r;
  throw UsageError("rung {} did not run", name);
}

/// The judge is --backend, or naive-f64. --fault builds the bug into the judge,
/// so then the rungs differ from it.
JudgedCase judge_case(Lesson& lesson, const AttendCase& c) {
  JudgedCase judged = judge::judged_case(c);
  judged.reference = judge::attend(*lesson.backend("naive-f64"), c);
  return judged;
}

/// Microseconds per attend on a GPU, launches included.
void show_times(Lesson& lesson, const AttendCase& c) {
  Screen& screen = lesson.screen();
  screen.section("Times");
  std::string why_not;
  for (const BackendEntry& entry : list_backends())
    if (entry.name == "cuda") why_not = entry.usable ? "" : entry.why_not;
  if (!why_not.empty()) {
    screen.say("Not measured: the backend cuda cannot be used here (" + why_not +
               "). The emulator counts memory accesses, but it cannot say how long a GPU takes.");
    return;
  }
  std::vector<Bar> bars;
  for (const KernelEntry& entry : list_kernels()) {
    const auto backend = make_backend("cuda", {.kernel = entry.name});
    const judge::Layout layout = judge::lay_out(c);
    const auto storage = judge::fill_storage(*backend, c, layout);
    const Tensor q = backend->upload(judge::case_queries(c, layout).view());
    Tensor out = backend->make_tensor(q.shape()),
           lse = backend->make_tensor({layout.plan.n_tokens(), c.n_q_heads});
    Tensor host = Tensor::host(DType::f32, lse.shape());
    const Batch& batch = backend->begin_step(layout.plan, *storage);
    constexpr int kCalls = 100;
    const double us = median_us(5, [&] {
      for (int i = 0; i < kCalls; ++i)
        backend->run(
            Attend{{0, "attend"}, q.view(), *storage, batch, judge::case_spec(c), out.view(), lse.view()});
      backend->download(lse.view(), host.view());  // waits for all of them
    });
    if (backend->info().attend_kernel == entry.name) bars.push_back({entry.name, us / kCalls});
  }
  screen.bars(bars, "µs");
  screen.say(
      "A launch takes a few µs, longer than this small problem. lastrow-kernels --time measures larger "
      "ones.");
}

/// The bytes that each rung moves, without the rungs that move as many as the one before them.
void show_bytes_moved(Screen& screen, const std::vector<RungRun>& runs) {
  screen.say("Bytes moved (a rung that is not listed moves as many as the one before it):");
  std::vector<Bar> bars;
  int64_t before = 0;
  for (const RungRun& r : runs) {
    const int64_t moved = r.cache_sectors * kSectorBytes;
    if (!r.why_not.empty() || moved == before) continue;
    bars.push_back({r.rung.name, static_cast<double>(moved), with_commas(moved) + " bytes"});
    before = moved;
  }
  screen.bars(bars, "bytes");
}

/// Whether each idea saves what it should save.
void check_ideas(Lesson& lesson, const std::vector<RungRun>& runs) {
  const RungRun &k01 = rung(runs, "k01"), &k02 = rung(runs, "k02"), &k05 = rung(runs, "k05"),
                &k06 = rung(runs, "k06");
  lesson.require(
      k02.cache_sectors * 4 <= k01.cache_sectors,
      fmt::format(
          "in k02 neighbouring lanes read neighbouring elements: it moves {:.0f} times fewer bytes than k01",
          static_cast<double>(k01.cache_sectors) / static_cast<double>(k02.cache_sectors)));
  lesson.require(k05.wanted_of_moved() == 1, "k05 loads 16 bytes per lane and uses every byte that is moved");
  lesson.require(k06.cache_bytes * kDecode.n_q_heads / kDecode.n_kv_heads == k05.cache_bytes,
                 fmt::format("k06 reads K and V once for all {} query heads of a group",
                             kDecode.n_q_heads / kDecode.n_kv_heads));
  lesson.require(k06.reads(kDecode) == 1,
                 "k06 reads each stored byte once, and so do the later rungs: fewer reads are not possible");
}

void decode(Lesson& lesson) {
  Screen& screen = lesson.screen();
  const std::vector<RungRun> runs = run_ladder(lesson, judge_case(lesson, kDecode));

  screen.say(fmt::format(
      "One query, {} query heads on {} K/V heads, head_dim {}, {} keys in bf16. The cache holds {} bytes "
      "of K and V. The rungs of the ladder and their ideas:",
      kDecode.n_q_heads, kDecode.n_kv_heads, kDecode.head_dim, kDecode.sequences[0].kv_len,
      with_commas(RungRun::stored_bytes(kDecode))));
  screen.gap();
  for (const KernelEntry& entry : list_kernels())
    screen.line(fmt::format("{:<4}  {}", entry.name, entry.idea));

  screen.section("Decode: the memory accesses of each rung");
  screen.say(
      "A block is a group of threads with common shared memory. A warp is 32 of its threads (lanes), which "
      "run in step. “reads of K, V”: how often lanes read each stored byte; at least 1. “wanted”: memory "
      "moves in sectors of 32 bytes; this is the share of the moved bytes that lanes wanted. “banks”: shared "
      "memory has 32 banks, and each serves one word at a time; this is the smallest possible number of "
      "turns, as a share of the turns taken. “barriers”: how often a block waits for all its threads. "
      "“shuffles”: instructions that pass numbers between lanes.");
  show(lesson, runs, kDecode, "decode");
  show_bytes_moved(screen, runs);
  check_ideas(lesson, runs);
  screen.say(
      "The later rungs save time, not bytes: k07a gives every multiprocessor a part of the keys; k08 fetches "
      "the block table entry of the next page early; k09 also reads K and V of one byte per element (here "
      "all are bf16); k10 keeps more loads in flight; k11 and k12 use the tensor cores, k11 for the queries "
      "of a group, k12 for the queries of a prompt.");
}

void prefill(Lesson& lesson) {
  Screen& screen = lesson.screen();
  screen.section("Prefill: the same rungs, 64 queries at once");
  const std::vector<RungRun> runs = run_ladder(lesson, judge_case(lesson, kPrefill));
  screen.say(fmt::format("64 queries and 64 keys, {} query heads on {} K/V heads.", kPrefill.n_q_heads,
                         kPrefill.n_kv_heads));
  show(lesson, runs, kPrefill, "prefill");
  screen.say(
      "Without sharing, each query reads every key before it. In k04 16 queries share each tile of keys that "
      "is read; it needs barriers for that. In k12 64 rows (queries and heads of a group) share a tile.");
  lesson.require(rung(runs, "k04").cache_bytes * 4 < rung(runs, "k03").cache_bytes,
                 "k04 reads K and V less than a quarter as often as k03");
}

/// The generation runs on --backend if that one has the ladder, otherwise on cuda-emulated.
std::string generates_on(const Lesson& lesson) {
  const std::string& asked = lesson.options().backend;
  for (const BackendEntry& backend : list_backends())
    if (backend.has_kernels && backend.name == without_kernel(asked)) return asked;
  return "cuda-emulated";
}

void in_a_generation(Lesson& lesson) {
  DecodeSession session(lesson.model("fable-gqa"), make_backend(generates_on(lesson)),
                        {.record = lesson.record()});
  session.start(session.model().tokenizer().encode(Lesson::prompt_for(session.model())));
  session.advance();
  session.advance();
  Screen& screen = lesson.screen();
  screen.section("In a generation");
  screen.say(
      fmt::format("{} runs on the same kernels: {} computed attention in its decode step. In the viewer: "
                  "viewer/run --backend cuda-emulated:k05.",
                  session.model().config().name, session.backend_info().attend_kernel));
  lesson.keep(session);
}

void lesson_10(Lesson& lesson) {
  decode(lesson);
  prefill(lesson);
  show_times(lesson, kDecode);
  in_a_generation(lesson);
  lesson.try_this(
      {"Make qkv.safetensors in three lines (gpu/README.md), then run build/bin/lastrow attend "
       "--in qkv.safetensors --out out.safetensors --backend cuda-emulated --kernel k01 --simt-report. Which "
       "source line wastes sectors?",
       "Set kDecode.n_kv_heads to 8 (MHA). Which rungs read equally often now, and why?",
       "In k04, remove the padding of the tile in shared memory. What happens to “banks”?"},
      "lesson 0, the ledger of claims.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(
      argc, argv,
      {10, "GPU kernels", "Which kernel reads the cache least often? How can another one still be faster?",
       "its kernels run on problems that it makes itself"},
      lesson_10);
}
