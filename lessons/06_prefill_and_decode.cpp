// Lesson 6: why is reading a prompt fast, and writing an answer slow?
//
// A machine has two limits: flop per second and bytes per second. Which one limits a piece of work depends on
// its intensity, the flop that it does per byte. Prefill has a high intensity, decode a low one.
//
// You will see   both limits of this machine, measured; the intensity of prefill and of decode, for one
//                sequence and for many; where each lies under the roof; which intensity a larger batch raises,
//                and which it does not raise
// Before this    lesson 5, training and generation
// Open           src/cost/roofline.h (the two limits), src/cost/op_cost.h (what is counted),
//                src/cache/kv_cache.h (plan: several sequences in one step)
#include <algorithm>
#include <array>
#include <cmath>

#include "cache/contiguous_cache.h"
#include "cost/memory.h"
#include "cost/roofline.h"
#include "lessons/support/compare.h"
#include "lessons/support/lesson.h"
#include "lessons/support/measure.h"
#include "model/decoder.h"
#include "trace/tracing.h"

using namespace lastrow;
using namespace lastrow::lessons;

namespace {

constexpr const char* kModel = "random:layers=1,q_heads=16,kv_heads=16,head_dim=64,vocab=256,context=512";
constexpr const char* kGrouped = "random:layers=1,q_heads=16,kv_heads=4,head_dim=64,vocab=256,context=512";
constexpr int kBatches[] = {1, 4, 16};
constexpr int kMostSequences = 16;
constexpr int kWide = 256;  // from this model_dim on, weights cause more traffic than activations

/// A step: its cost, in total and by parts, and its time.
struct Point {
  char mark = ' ';
  std::string label;
  int n_tokens = 0;
  OpCost all{}, matrices{}, attention{};
  double us = 0;

  double gflops() const { return static_cast<double>(all.flop) / us / 1e3; }
};

/// Sequences that share the weights of a model. Each has a cache of its own.
class Sequences {
 public:
  Sequences(Lesson& lesson, const Model& model, int n, int max_seq_len)
      : backend_(lesson.backend()),
        tracing_(*backend_, recorder_),
        decoder_(model, *backend_),
        workspace_(model.config(), *backend_, std::max(max_seq_len, n), n),
        cache_(CacheSpec::contiguous(model.config().n_layers, model.config().n_kv_heads,
                                     model.config().head_dim, max_seq_len, n)),
        storage_(backend_->make_storage(cache_.spec())),
        vocab_size_(model.config().vocab_size) {}

  /// Feeds n_tokens more tokens to each of the sequences first … first + n − 1.
  /// Returns the logits of the last tokens.
  std::vector<float> feed(Backend& backend, int first, int n, int n_tokens) {
    std::vector<std::vector<int32_t>> tokens;
    for (int i = first; i < first + n; ++i) {
      tokens.emplace_back();
      for (int t = 0; t < n_tokens; ++t)
        tokens.back().push_back((17 * i + 5 * (cache_.length(i) + t) + 1) % vocab_size_);
    }
    std::vector<SequenceInput> inputs;
    for (int i = 0; i < n; ++i)
      inputs.push_back({first + i, tokens[static_cast<size_t>(i)], LogitRows::last});
    const StepPlan& plan = cache_.plan(inputs);
    const Batch& batch = backend.begin_step(plan, *storage_);
    const TensorView logits = decoder_.forward(backend, batch, *storage_, workspace_);
    std::vector<float> host(static_cast<size_t>(logits.size()));
    backend.download(logits, TensorView(host.data(), logits.shape()));
    cache_.commit(plan);
    return host;
  }

  /// The same without a trace.
  std::vector<float> feed(int first, int n, int n_tokens) { return feed(*backend_, first, n, n_tokens); }
  /// Removes the last tokens, so that the same step can run again.
  void take_back(int first, int n, int n_tokens) {
    for (int i = first; i < first + n; ++i) cache_.truncate(i, cache_.length(i) - n_tokens);
  }

  /// Feeds one more token to all sequences together, and to some of them alone. Returns the largest
  /// difference of a logit, as a share of the largest logit.
  double batched_against_alone() {
    const int n = cache_.spec().n_blocks;
    const std::vector<float> together = feed(0, n, 1);
    take_back(0, n, 1);
    double worst = 0, largest = 0;
    for (const int i : {0, n / 2, n - 1}) {
      const std::vector<float> alone = feed(i, 1, 1);
      take_back(i, 1, 1);
      const float* batched = together.data() + int64_t{i} * vocab_size_;
      for (size_t v = 0; v < alone.size(); ++v) {
        largest = std::max(largest, double{std::abs(alone[v])});
        worst = std::max(worst, double{std::abs(alone[v] - batched[v])});
      }
    }
    return worst / largest;
  }

  /// A step of the first n sequences: counted with a trace, timed without one (the fastest of `rounds` runs).
  /// The step is removed again.
  Point measure(char mark, std::string label, int n, int n_tokens, int rounds) {
    feed(tracing_, 0, n, n_tokens);
    Point point{.mark = mark, .label = std::move(label), .n_tokens = n * n_tokens, .us = INFINITY};
    for (const Event& e : recorder_.events(recorder_.latest_step())) {
      point.all += e.cost;
      if (traits(e.op).work == WorkKind::weights) point.matrices += e.cost;
      if (e.op == kind_of<Attend>) point.attention += e.cost;
    }
    take_back(0, n, n_tokens);
    for (int i = 0; i < rounds; ++i) {
      point.us = std::min(point.us, elapsed_us([&] { feed(0, n, n_tokens); }));
      take_back(0, n, n_tokens);
    }
    return point;
  }

 private:
  std::unique_ptr<Backend> backend_;
  Recorder recorder_{{.attention = false}};
  TracingBackend tracing_;
  Decoder decoder_;
  Workspace workspace_;
  ContiguousCache cache_;
  std::unique_ptr<KvStorage> storage_;
  int32_t vocab_size_;
};

/// Times are taken only on a healthy backend that is built for speed and runs on this CPU.
bool takes_times(const Lesson& lesson, const BackendInfo& info) {
  return lesson.options().fault.empty() && info.is_fast && info.in_host_memory;
}

void two_kinds(Lesson& lesson, const std::shared_ptr<const Model>& model) {
  Screen& screen = lesson.screen();
  const std::vector<int32_t> prompt = model->tokenizer().encode(Lesson::prompt_for(*model));
  DecodeSession session(
      model, lesson.backend(),
      {.chunk = lesson.whole_prompt(prompt.size()), .record = lesson.record(), .cache = lesson.cache()});
  session.start(prompt);
  const StepRecord prefill = session.advance(), decode = session.advance();
  lesson.keep(session);
  screen.section("Two kinds of step");
  screen.say(fmt::format(
      "A prompt of {} tokens, then one more token. Prefill reads the weights once and uses them for {} "
      "rows. Decode reads them again for a single row.",
      prefill.q_len, prefill.q_len));
  const auto row = [](const char* label, const StepRecord& r) {
    return std::vector<std::string>{
        label, fmt::format("{}", r.q_len), with_commas(r.flop), with_commas(r.weight_bytes),
        fmt::format("{:.2f}", static_cast<double>(r.flop) / static_cast<double>(r.weight_bytes))};
  };
  screen.table({"", "rows", "flop", "bytes of weights", "flop per byte"},
               {row("prefill", prefill), row("decode", decode)});
}

/// Measures both limits of this machine. The buffer that is read is at least as large as the model's weights.
Roofline measure_roof(Lesson& lesson, const Model& model, int n_threads) {
  Screen& screen = lesson.screen();
  const int64_t bytes = std::max<int64_t>(n_params(shape_of(model.config())) * 4, 32 << 20);
  const Roofline roof{measure_peak_f32_gflops(n_threads), measure_read_bandwidth_gbps(bytes, n_threads, 40)};
  screen.section("Two limits of this machine");
  screen.say(
      fmt::format("With {} threads this machine computes at most {:.0f} Gflop/s, and reads at most {:.1f} "
                  "GB/s from a buffer of {:.0f} MB (at least as large as the weights). A step that does less "
                  "than {:.0f} / {:.1f} = {:.1f} flop per byte is limited by memory; a step that does more "
                  "is limited by arithmetic.",
                  n_threads, roof.peak_gflops, roof.read_gbps, static_cast<double>(bytes) / 1e6,
                  roof.peak_gflops, roof.read_gbps, roof.ridge()));
  lesson.figure("peak_gflops", roof.peak_gflops);
  lesson.figure("read_gbps", roof.read_gbps);
  lesson.figure("ridge", roof.ridge());
  return roof;
}

/// The roof and the points below it. Both axes are in powers of two.
void plot(Screen& screen, const Roofline& roof, std::span<const Point> points, bool timed) {
  constexpr int kColumns = 66, kFirst = -2, kOctaves = 11, kRows = 8;  // from ¼ to 512 flop a byte
  const int top = static_cast<int>(std::lround(std::log2(roof.peak_gflops)));
  std::vector<std::string> cells(kRows * kColumns, " ");
  const auto column = [&](double per_byte) {
    const double at = (std::log2(per_byte) - kFirst) / kOctaves * kColumns;
    return std::clamp(static_cast<int>(at), 0, kColumns - 1);
  };
  const auto put = [&](int x, double gflops, const std::string& mark) {
    const auto row = static_cast<int>(std::lround(top - std::log2(gflops)));
    if (row >= 0 && row < kRows) cells[static_cast<size_t>(row * kColumns + x)] = mark;
  };
  for (int x = 0; x < kColumns; ++x) {
    const double per_byte = std::exp2(kFirst + (x + 0.5) * kOctaves / kColumns);
    put(x, roof.attainable_gflops(per_byte), per_byte < roof.ridge() ? "/" : "─");
  }
  for (const Point& p : points)
    put(column(intensity(p.all)), timed ? p.gflops() : roof.attainable_gflops(intensity(p.all)),
        std::string(1, p.mark));
  screen.say(fmt::format("Gflop/s over flop per byte. The roof is the limit of this machine:{}",
                         timed ? "" : " (This backend is not timed, so each letter stands on the roof.)"));
  for (int row = 0; row < kRows; ++row) {
    std::string line = fmt::format("{:>6.3g} │", std::exp2(top - row));
    for (int x = 0; x < kColumns; ++x) line += cells[static_cast<size_t>(row * kColumns + x)];
    line.erase(line.find_last_not_of(' ') + 1);
    screen.line(line);
  }
  std::string axis = "       └";
  for (int octave = 0; octave < kOctaves; ++octave)
    axis += left(fmt::format("{:g}", std::exp2(kFirst + octave)), 6);
  axis.erase(axis.find_last_not_of(' ') + 1);
  screen.line(axis);
}

struct Steps {
  Point first, prefill;
  std::vector<Point> decode;    // one for each of kBatches
  double batch_difference = 0;  // how much the logits of a sequence differ, in the largest batch and alone
};

/// Runs one model: a first token, a prompt, and decode steps of several sequences.
Steps run_steps(Lesson& lesson, const Model& model, bool timed, bool fast) {
  const int context = model.config().max_seq_len, rounds = timed ? 7 : 1;
  const int prompt = std::min(fast ? 384 : 48, context), held = std::min(fast ? 31 : 15, context - 1);
  Steps steps;
  Sequences one(lesson, model, 1, context), many(lesson, model, kMostSequences, held + 1);
  steps.first = one.measure('f', "a first token", 1, 1, rounds);
  steps.prefill = one.measure('P', fmt::format("prefill, {} tokens", prompt), 1, prompt, std::min(rounds, 3));
  for (int i = 0; i < kMostSequences; ++i) many.feed(i, 1, held);
  char mark = 'a';
  for (const int batch : kBatches)
    steps.decode.push_back(many.measure(mark++, fmt::format("decode, batch {}", batch), batch, 1, rounds));

  steps.batch_difference = many.batched_against_alone();
  return steps;
}

void under_the_roof(Lesson& lesson, const Roofline& roof, const Steps& steps, bool timed) {
  Screen& screen = lesson.screen();
  std::vector<Point> points{steps.first,
                            steps.prefill};  // a later point hides an earlier one at the same place
  points.insert(points.end(), steps.decode.begin(), steps.decode.end());
  std::vector<std::vector<std::string>> rows;
  const auto add_row = [&](const Point& p) {
    rows.push_back({fmt::format("{}  {}", p.mark, p.label),
                    fmt::format("{:.1f}", static_cast<double>(p.all.flop) / 1e6),
                    fmt::format("{:.1f}", static_cast<double>(p.all.bytes()) / 1e6),
                    fmt::format("{:.2f}", intensity(p.all)), roof.bandwidth_bound(p.all) ? "memory" : "flop",
                    timed ? fmt::format("{:.0f}", p.us / p.n_tokens) : "-",
                    timed ? fmt::format("{:.0f}", p.gflops()) : "-"});
  };
  for (const Point& p : points) add_row(p);
  screen.table({"", "Mflop", "MB", "flop/byte", "roof", "µs/token", "Gflop/s"}, rows);
  plot(screen, roof, points, timed);
  const auto share = [&](const Point& p) {
    return 100 * p.gflops() / roof.attainable_gflops(intensity(p.all));
  };
  if (timed)
    screen.say(fmt::format(
        "In this run prefill reaches {:.0f} % of its roof, decode {:.0f} %. How close you get depends on "
        "the program and on what else the machine is doing.{}",
        share(steps.prefill), share(steps.decode[0]),
        std::max(share(steps.prefill), share(steps.decode[0])) < 100.5
            ? ""
            : " Over 100 %: either small weights come from the CPU's caches, which are faster than memory, "
              "or the machine was busy when its limits were measured."));
  screen.say(
      "Look at the first token: nothing is cached yet, but memory already limits it. Decode is slow because "
      "it reads all the weights; as the cache grows, decode reads more and more of the cache too. Recompute "
      "would raise the intensity, as prefill does, but would still take longer.");
}

/// A larger batch raises the intensity of the weights, but not that of attention over separate caches.
bool batching(Lesson& lesson, const Steps& steps, bool has_grouped, const Steps& grouped) {
  Screen& screen = lesson.screen();
  screen.section("What a larger batch raises, and what grouped heads raise");
  screen.say(fmt::format(
      "Flop per byte of two parts of a decode step. A batch reads the weights once for all its sequences. "
      "But each sequence reads a cache of its own.{}",
      has_grouped
          ? " In the last column four query heads share a K/V head, so each row that is read serves four."
          : ""));
  std::vector<std::string> head{"", "weights", "attention"};
  std::vector<std::vector<std::string>> rows;
  if (has_grouped) head.push_back("attention, groups of 4");
  for (size_t i = 0; i < std::size(kBatches); ++i) {
    rows.push_back({fmt::format("batch {}", kBatches[i]),
                    fmt::format("{:.2f}", intensity(steps.decode[i].matrices)),
                    fmt::format("{:.3f}", intensity(steps.decode[i].attention))});
    if (has_grouped) rows.back().push_back(fmt::format("{:.3f}", intensity(grouped.decode[i].attention)));
  }
  screen.table(head, rows);
  const auto rise = [](const Steps& s, OpCost Point::*part) {
    return intensity(s.decode.back().*part) / intensity(s.decode.front().*part);
  };
  const double weights = rise(steps, &Point::matrices), attention = rise(steps, &Point::attention);
  lesson.figure("weights_rise", weights);
  lesson.figure("attention_rise", attention);
  bool as_expected = lesson.require(
      weights > 4 && std::abs(attention - 1) < 1e-9,
      fmt::format(
          "the largest batch: {:.1f} times the intensity of the weights, {:.2f} times that of attention",
          weights, attention));
  if (has_grouped) {
    const double by_group = intensity(grouped.decode[0].attention) / intensity(steps.decode[0].attention);
    lesson.figure("grouping_rise", by_group);
    as_expected &=
        lesson.require(by_group > 3 && by_group < 4.01,
                       fmt::format("groups of 4: {:.2f} times the intensity of attention", by_group));
  }
  return as_expected;
}

/// `wide`: arithmetic should limit prefill, because the model is wide and the prompt is long.
void prefill_and_decode(Lesson& lesson, const Roofline& roof, const Steps& steps, bool timed, bool wide,
                        bool as_expected) {
  const double prefill = intensity(steps.prefill.all), first = intensity(steps.first.all),
               decode = intensity(steps.decode[0].all), batched = intensity(steps.decode.back().all);
  lesson.figure("intensity_prefill", prefill);
  lesson.figure("intensity_first", first);
  lesson.figure("intensity_decode", decode);
  lesson.figure("intensity_decode_batched", batched);
  std::string in_time, untested;
  if (!kFastBuild)
    untested =
        "this build has sanitizers or is not optimised, so it does not reach the limits of the machine";
  if (timed) {
    const double faster = steps.decode[0].us / (steps.prefill.us / steps.prefill.n_tokens);
    const double shared = kMostSequences * steps.decode[0].us / steps.decode.back().us;
    lesson.figure("prefill_faster_a_token", faster);
    if (!wide && faster < 2)
      untested = "on such a small model the calls take most of the time, in prefill and in decode";
    lesson.figure("batch_faster_a_token", shared);
    in_time = fmt::format(
        ". A token takes {:.1f} times as long in decode as in prefill, and {:.1f} times as long alone as in "
        "a batch of 16{}",
        faster, shared,
        std::min(faster, shared) > 1
            ? ""
            : ". These times contradict the verdict, so the machine is probably busy: "
              "ignore the times, and run again");
  }
  const bool sides = first < roof.ridge() && decode < roof.ridge() && (!wide || prefill > roof.ridge());
  lesson.found(
      {.claim = 10,
       .verdict = Verdict::holds_if,
       .shown = as_expected && prefill > 4 * decode && (sides || !kFastBuild),
       .measured =
           fmt::format("The ridge of this machine is at {:.1f} flop per byte. Prefill has {:.0f}, decode "
                       "{:.2f}, a batch of 16 {:.1f}, and a first token with an empty cache {:.2f}{}",
                       roof.ridge(), prefill, decode, batched, first, in_time),
       .condition = fmt::format(
           "the prompt is long and the batch is small. In a batch of about {:.0f}, each byte of weights is "
           "used often enough to reach the ridge here; each byte of the separate caches is not",
           kMostSequences * roof.ridge() / intensity(steps.decode.back().matrices))},
      untested);
}

void lesson_06(Lesson& lesson) {
  Screen& screen = lesson.screen();
  const bool own = lesson.options().model.empty();
  const auto model = lesson.model(kModel);
  const BackendInfo info = lesson.backend()->info();
  const bool timed = takes_times(lesson, info), fast = info.is_fast;
  two_kinds(lesson, model);
  const Roofline roof = measure_roof(lesson, *model, std::max(1, info.n_threads));
  screen.section("Where each step lies");
  const ModelConfig& c = model->config();
  screen.say(
      fmt::format("A prompt, and decode steps of 1, 4 and 16 sequences, each with a cache of its own; {} "
                  "layer{} of width {}.{}",
                  c.n_layers, c.n_layers == 1 ? "" : "s", c.model_dim,
                  own ? " The weights are random: the amount of work does not depend on the values." : ""));
  const Steps steps = run_steps(lesson, *model, timed, fast);
  lesson.figure("batch_difference", steps.batch_difference);
  lesson.require(steps.batch_difference < kRounding,
                 fmt::format("a sequence gets the same logits in a batch of {} as alone, up to rounding",
                             kMostSequences));
  under_the_roof(lesson, roof, steps, timed);

  Steps grouped;
  if (own) grouped = run_steps(lesson, *lesson.model(kGrouped), false, fast);
  const bool as_expected = batching(lesson, steps, own, grouped);
  const bool wide = model->config().model_dim >= kWide && fast;
  if (!wide)
    screen.say(fast ? "(In such a narrow model most of prefill's traffic is activations. So this run does "
                      "not require that arithmetic limits prefill.)"
                    : "(With such a short prompt this run does not require that arithmetic limits prefill.)");
  prefill_and_decode(lesson, roof, steps, timed, wide, as_expected);
  lesson.try_this(
      {"Set kMostSequences and the last of kBatches to 64. Does arithmetic limit a decode step now?",
       "Set the prompt in run_steps to 4 tokens. On which side of the ridge does prefill lie now?",
       "Run with --model fable-mha. Why is the intensity of prefill much lower, with such a long prompt?"},
      "lesson 7, MHA, GQA, MQA.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(
      argc, argv,
      {6, "prefill and decode",
       "Which of the two is limited by arithmetic, and which by memory? What does a larger batch change?"},
      lesson_06);
}
