// Lesson 10: what makes one attention kernel faster than another?
//
// Decode attention does little arithmetic: it has to read every stored byte of K and V once, and cannot be
// faster than that. The ladder in gpu/kernels comes closer to it rung by rung. Here every rung runs on one
// problem, thread by thread on this CPU (no GPU needed), and an observer counts what it asks of memory, the
// way the hardware bills it.
//
// You will see   how often each rung reads the cache, how well its loads use the 32-byte sectors in which
//                memory comes, its bank conflicts, barriers and shuffles; then the same for prefill; and
//                times, if there is an NVIDIA GPU
// Options        --backend names the judge; cuda or cuda-emulated:kNN, what the generation runs on
// Before this    lessons 1 and 7; gpu/README.md says what is counted and how
// Open           gpu/kernels/k01_naive.cu beside k02_warp_per_row.cu, and so on: each diff is one idea
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

/// What a rung asked of memory for one problem, all its kernels (a merge, if it needs one) together.
struct RungRun {
  KernelEntry rung;
  std::string why_not;                         // it cannot take the problem
  bool ok = false;                             // within the judge's bound
  int64_t cache_bytes = 0, cache_sectors = 0;  // K and V: asked for by lanes; came
  int64_t passes = 0, best_passes = 0;         // shared memory
  int64_t barriers = 0, shuffles = 0, blocks = 0;

  double reads(const AttendCase& c) const {
    return static_cast<double>(cache_bytes) / static_cast<double>(stored_bytes(c));
  }
  /// Bytes of K and V asked for, of those that came.
  double asked_of_came() const {
    return static_cast<double>(cache_bytes) / static_cast<double>(cache_sectors * kSectorBytes);
  }
  static int64_t stored_bytes(const AttendCase& c) {
    return int64_t{2} * c.sequences[0].kv_len * c.n_kv_heads * c.head_dim *
           static_cast<int64_t>(size_of(c.kv_dtype));
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
    if (!kernel.kernel.starts_with('k')) continue;  // the small kernels that store rows
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
                    fmt::format("{:.0f} %", 100 * r.asked_of_came()), percent(r.best_passes, r.passes),
                    fmt::format("{}", r.barriers), fmt::format("{}", r.shuffles),
                    fmt::format("{}", r.blocks)});
    lesson.figure(fmt::format("{}_{}_reads", name, r.rung.name), r.reads(c));
    lesson.figure(fmt::format("{}_{}_asked_of_came", name, r.rung.name), r.asked_of_came());
  }
  lesson.screen().table({"rung", "reads of K, V", "asked/came", "banks", "barriers", "shuffles", "blocks"},
                        rows);
  int n_ok = 0, n = 0;
  for (const RungRun& r : runs)
    if (r.why_not.empty()) ++n, n_ok += r.ok ? 1 : 0;
  lesson.figure(name + "_rungs", n);
  lesson.require(
      n_ok == n,
      fmt::format("{} of {} rungs give the double-precision judge's rows, within its bound", n_ok, n));
}

const RungRun& rung(const std::vector<RungRun>& runs, std::string_view name) {
  for (const RungRun& r : runs)
    if (r.rung.name == name && r.why_not.empty()) return r;
  throw UsageError("rung {} did not run", name);
}

/// Judged by --backend, or naive-f64: with a fault in it, the rungs no longer agree with it.
JudgedCase judge_case(Lesson& lesson, const AttendCase& c) {
  JudgedCase judged = judge::judged_case(c);
  judged.reference = judge::attend(*lesson.backend("naive-f64"), c);
  return judged;
}

/// Microseconds of one attend after another, on a GPU; launches included.
void show_times(Lesson& lesson, const AttendCase& c) {
  Screen& screen = lesson.screen();
  screen.section("Times");
  std::string why_not;
  for (const BackendEntry& entry : list_backends())
    if (entry.name == "cuda") why_not = entry.usable ? "" : entry.why_not;
  if (!why_not.empty()) {
    screen.say("Not measured. The backend cuda cannot be used here: " + why_not +
               ". The emulator counts what a kernel asks for; how long a GPU takes for it, it cannot say.");
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
      "A launch costs a few µs, more than this small problem: lastrow-kernels --time has larger ones.");
}

void decode(Lesson& lesson) {
  Screen& screen = lesson.screen();
  const std::vector<RungRun> runs = run_ladder(lesson, judge_case(lesson, kDecode));

  screen.say(
      fmt::format("One query, {} heads on {} K/V heads of {} elements, {} keys in bf16: the cache holds {} "
                  "bytes of K and V. Each rung of the ladder, and its idea:",
                  kDecode.n_q_heads, kDecode.n_kv_heads, kDecode.head_dim, kDecode.sequences[0].kv_len,
                  with_commas(RungRun::stored_bytes(kDecode))));
  screen.gap();
  for (const KernelEntry& entry : list_kernels()) screen.line(fmt::format("{}  {}", entry.name, entry.idea));

  screen.section("Decode: what each asks of memory");
  screen.say(
      "A block is a group of threads that share memory; a warp is 32 of them, its lanes, in step. reads of "
      "K, V: how often each stored byte is asked for. 1 is the least. asked/came: memory comes in sectors of "
      "32 bytes; the bytes that lanes asked for (each lane counts), of those that came. banks: shared memory "
      "has 32, each of which serves one word at a time; the fewest turns that would do, of those it took. "
      "Below 100 % something came that nobody asked for, or waited for its turn. barriers: times that a "
      "block waits for all its threads. shuffles: instructions that pass numbers between lanes.");
  show(lesson, runs, kDecode, "decode");
  screen.say("The bytes that came:");
  std::vector<Bar> bars;
  for (const RungRun& r : runs)
    if (r.why_not.empty())
      bars.push_back({r.rung.name, static_cast<double>(r.cache_sectors * kSectorBytes),
                      with_commas(r.cache_sectors * kSectorBytes) + " bytes came"});
  screen.bars(bars, "bytes");

  const RungRun &k01 = rung(runs, "k01"), &k02 = rung(runs, "k02"), &k05 = rung(runs, "k05"),
                &k06 = rung(runs, "k06");
  lesson.require(
      k02.cache_sectors * 4 <= k01.cache_sectors,
      fmt::format(
          "k02 has neighbours in a warp read neighbours in memory: {:.0f} times fewer bytes come than in k01",
          static_cast<double>(k01.cache_sectors) / static_cast<double>(k02.cache_sectors)));
  lesson.require(k05.asked_of_came() == 1, "k05's loads of 16 bytes a lane ask for every byte that comes");
  lesson.require(k06.cache_bytes * kDecode.n_q_heads / kDecode.n_kv_heads == k05.cache_bytes,
                 fmt::format("k06 reads K and V once for the {} query heads of a group",
                             kDecode.n_q_heads / kDecode.n_kv_heads));
  lesson.require(k06.reads(kDecode) == 1,
                 "k06 and what follows read each stored byte once: less there is not to read");
  screen.say(
      "What is left is time, not bytes: k07 gives every multiprocessor a share of the keys, k08 fetches the "
      "next page's place early, k09 takes K and V of one byte an element too (here all are bf16), k10 keeps "
      "more bytes on their way, and k11 and "
      "k12 hand the products to the tensor cores: k11 those of a group's queries, k12 those of a prompt's.");
}

void prefill(Lesson& lesson) {
  Screen& screen = lesson.screen();
  screen.section("Prefill: the same rungs, 64 queries at once");
  const std::vector<RungRun> runs = run_ladder(lesson, judge_case(lesson, kPrefill));
  screen.say(fmt::format("64 queries and as many keys, {} heads on {} K/V heads.", kPrefill.n_q_heads,
                         kPrefill.n_kv_heads));
  show(lesson, runs, kPrefill, "prefill");
  screen.say(
      "A query alone reads every key before it. k04 has 16 queries share one reading of a tile, and pays "
      "with barriers, at which the tile is handed over; k12 has 64 rows (queries and heads of a group) share "
      "it.");
  lesson.require(rung(runs, "k04").cache_bytes * 4 < rung(runs, "k03").cache_bytes,
                 "k04 reads K and V less than a quarter as often as k03");
}

/// --backend judges, unless it names one that has the ladder: then the generation runs on it.
std::string generates_on(const Lesson& lesson) {
  const std::string& asked = lesson.options().backend;
  return asked.starts_with("cuda") ? asked : "cuda-emulated";
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
      fmt::format("{} runs on the same kernels: its decode step was attended by {}. In the viewer: "
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
      {"Make qkv.safetensors in three lines (gpu/README.md), then build/bin/lastrow attend "
       "--in qkv.safetensors --out out.safetensors --backend cuda-emulated --kernel k01 --simt-report. Which "
       "source line wastes the sectors?",
       "Change kDecode.n_kv_heads to 8 (MHA): which rungs now read the same, and why?",
       "In k04, take the padding out of the tile in shared memory: what do the banks say?"},
      "lesson 0, the ledger of claims.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(
      argc, argv,
      {10, "GPU kernels", "Which kernel reads the cache least often, and what is left to gain then?"},
      lesson_10);
}
