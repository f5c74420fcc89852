// Lesson 6: why is reading a prompt fast, and writing an answer slow?
//
// A machine can compute so many flop a second and read so many bytes a second. Which of the two a piece of
// work waits for depends on how many flop it does with each byte: its intensity. Prefill does many, decode
// few.
//
// You will see   both limits of this machine, measured; the intensity of prefill and of decode, for one
//                sequence and for many; where each lies under the roof; what batching raises, and what it
//                cannot
// Before this    lesson 5, training and generation
// Open           src/cost/roofline.h (the two limits), src/cost/op_cost.h (what is counted),
//                src/cache/kv_cache.h (plan: several sequences in one step)
#include <algorithm>
#include <array>
#include <cmath>

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
constexpr int kWide = 256;  // model_dim from which on products with weights outweigh the activations' traffic

/// A step: its cost, all of it and by parts, and its time.
struct Point {
  char mark = ' ';
  std::string label;
  int n_tokens = 0;
  OpCost all{}, matrices{}, attention{};
  double us = 0;

  double gflops() const { return static_cast<double>(all.flop) / us / 1e3; }
};

/// Sequences that share a model's weights, each with a cache of its own.
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

  /// Feeds n_tokens more to sequences 0 … n − 1, or to `first` … first + n − 1. Logits of the last tokens.
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

  /// Without a trace, and not counted.
  std::vector<float> feed(int first, int n, int n_tokens) { return feed(*backend_, first, n, n_tokens); }
  /// Takes the last tokens back: the same step can be run again.
  void take_back(int first, int n, int n_tokens) {
    for (int i = first; i < first + n; ++i) cache_.truncate(i, cache_.length(i) - n_tokens);
  }

  /// One more token for all, together and alone: the largest difference of a logit, as a share of the
  /// largest.
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

  /// A step of the first n sequences, counted by its trace and timed without one: the fastest of so many
  /// rounds. It is taken back.
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

/// Only of a healthy backend that is made to be fast, on the machine that is measured.
bool takes_times(const Lesson& lesson, const BackendInfo& info) {
  return lesson.options().fault.empty() && info.name == "eigen";
}

void two_kinds(Lesson& lesson, const std::shared_ptr<const Model>& model) {
  Screen& screen = lesson.screen();
  DecodeSession session(model, lesson.backend(), {.record = lesson.record()});
  session.start(model->tokenizer().encode(Lesson::prompt_for(*model)));
  const StepRecord prefill = session.advance(), decode = session.advance();
  lesson.keep(session);
  screen.section("Two kinds of step");
  screen.say(
      fmt::format("A prompt of {} tokens, then one token. Prefill reads the weights once and uses each of "
                  "them for {} rows; decode reads them all again for a single row.",
                  prefill.q_len, prefill.q_len));
  const auto row = [](const char* label, const StepRecord& r) {
    return std::vector<std::string>{
        label, fmt::format("{}", r.q_len), with_commas(r.flop), with_commas(r.weight_bytes),
        fmt::format("{:.2f}", static_cast<double>(r.flop) / static_cast<double>(r.weight_bytes))};
  };
  screen.table({"", "rows", "flop", "bytes of weights", "flop a byte"},
               {row("prefill", prefill), row("decode", decode)});
}

/// Both limits of this machine, and a model's weights to set the size of what is read.
Roofline measure_roof(Lesson& lesson, const Model& model, int n_threads) {
  Screen& screen = lesson.screen();
  const int64_t bytes = std::max<int64_t>(n_params(shape_of(model.config())) * 4, 32 << 20);
  const Roofline roof{measure_peak_f32_gflops(n_threads), measure_read_bandwidth_gbps(bytes, n_threads, 40)};
  screen.section("Two limits of this machine");
  screen.say(fmt::format(
      "On {} threads it multiplies and adds at {:.0f} Gflop/s at most, and reads {:.1f} GB/s at most, from a "
      "buffer of {:.0f} MB (this lesson's weights, or more). So work that does fewer than {:.0f} / {:.1f} = "
      "{:.1f} flop with each byte waits for memory; work that does more waits for arithmetic.",
      n_threads, roof.peak_gflops, roof.read_gbps, static_cast<double>(bytes) / 1e6, roof.peak_gflops,
      roof.read_gbps, roof.ridge()));
  lesson.figure("peak_gflops", roof.peak_gflops);
  lesson.figure("read_gbps", roof.read_gbps);
  lesson.figure("ridge", roof.ridge());
  return roof;
}

/// The roof and the points under it, both axes by powers of two.
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
  screen.say(fmt::format(
      "Gflop/s over flop a byte. The roof is what this machine allows:{}",
      timed ? "" : " (This backend is not timed: a letter stands at the roof above its flop a byte.)"));
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
  std::vector<Point> decode;    // by kBatches
  double batch_difference = 0;  // of logits, a sequence in the largest batch against itself alone
};

/// The same model: a first token, a prompt, and decode steps of several sequences.
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
  std::vector<Point> points{steps.first, steps.prefill};  // a later one hides one in the same place
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
    screen.say(
        fmt::format("Prefill reaches {:.0f} % of its roof in this run, decode {:.0f} %. The roof is the "
                    "machine's best; how near a program comes is its own affair, and its neighbours'.",
                    share(steps.prefill), share(steps.decode[0])));
  screen.say(
      "Mind the first token: nothing is cached yet, and memory is what it waits for already. The weights "
      "make decode slow; the cache adds to them as it grows. Recomputing would raise the intensity, as "
      "prefill does, and take longer all the same.");
}

/// What of the intensity batching raises: that of the weights, not that of attention over separate caches.
bool batching(Lesson& lesson, const Steps& steps, bool has_grouped, const Steps& grouped) {
  Screen& screen = lesson.screen();
  screen.section("What batching raises, and what grouping raises");
  screen.say(
      "Flop a byte of two parts of a decode step. A batch reads the weights once for all its sequences; but "
      "each sequence has a cache of its own, which only it reads.");
  std::vector<std::string> head{"", "weights", "attention"};
  std::vector<std::vector<std::string>> rows;
  if (has_grouped) {
    head.push_back("attention, 4 heads a group");
    screen.say(
        "The last column is a model whose query heads share K/V heads in fours: each row read serves four.");
  }
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
  bool as_said = lesson.require(
      weights > 4 && std::abs(attention - 1) < 1e-9,
      fmt::format("the largest batch raises the weights' intensity {:.1f} times, attention's {:.2f} times",
                  weights, attention));
  if (has_grouped) {
    const double by_group = intensity(grouped.decode[0].attention) / intensity(steps.decode[0].attention);
    lesson.figure("grouping_rise", by_group);
    as_said &= lesson.require(by_group > 3 && by_group < 4.01,
                              fmt::format("groups of 4 raise attention's intensity {:.2f} times", by_group));
  }
  return as_said;
}

/// `wide`: the model and the prompt are such that prefill is to wait for arithmetic.
void prefill_and_decode(Lesson& lesson, const Roofline& roof, const Steps& steps, bool timed, bool wide,
                        bool as_said) {
  const double prefill = intensity(steps.prefill.all), first = intensity(steps.first.all),
               decode = intensity(steps.decode[0].all), batched = intensity(steps.decode.back().all);
  lesson.figure("intensity_prefill", prefill);
  lesson.figure("intensity_first", first);
  lesson.figure("intensity_decode", decode);
  lesson.figure("intensity_decode_batched", batched);
  std::string in_time, untested;
  if (!kFastBuild)
    untested = "this build has sanitizers or is not optimised, so the roof is its own, not the machine's";
  if (timed) {
    const double faster = steps.decode[0].us / (steps.prefill.us / steps.prefill.n_tokens);
    const double shared = kMostSequences * steps.decode[0].us / steps.decode.back().us;
    lesson.figure("prefill_faster_a_token", faster);
    if (!wide && faster < 2)
      untested = "on so small a model calls take the time, in prefill as in decode, not arithmetic or memory";
    lesson.figure("batch_faster_a_token", shared);
    in_time = fmt::format(
        ". A token takes {:.1f} times as long in decode as in prefill, and {:.1f} times as long alone as in "
        "a batch of 16",
        faster, shared);
  }
  const bool sides = first < roof.ridge() && decode < roof.ridge() && (!wide || prefill > roof.ridge());
  lesson.found(
      {.claim = 10,
       .verdict = Verdict::holds_if,
       .shown = as_said && prefill > 4 * decode && (sides || !kFastBuild),
       .measured = fmt::format("This machine turns at {:.1f} flop a byte; prefill has {:.0f}, decode {:.2f}, "
                               "a batch of 16 has {:.1f}, and a first token with an empty cache {:.2f}{}",
                               roof.ridge(), prefill, decode, batched, first, in_time),
       .condition =
           fmt::format("the prompt is long and the batch small. About {:.0f} sequences would lift the "
                       "weights to the ridge here; attention over separate caches stays where it is",
                       kMostSequences * roof.ridge() / intensity(steps.decode.back().matrices))},
      untested);
}

void lesson_06(Lesson& lesson) {
  Screen& screen = lesson.screen();
  const bool own = lesson.options().model.empty();
  const auto model = lesson.model(kModel);
  const BackendInfo info = lesson.backend()->info();
  const bool timed = takes_times(lesson, info), fast = info.name == "eigen" || info.name == "cuda";
  two_kinds(lesson, model);
  const Roofline roof = measure_roof(lesson, *model, std::max(1, info.n_threads));
  screen.section("Where each step lies");
  const ModelConfig& c = model->config();
  screen.say(
      fmt::format("A prompt, and decode steps of 1, 4 and 16 sequences, each with a cache of its own; {} "
                  "layer{} of width {}.{}",
                  c.n_layers, c.n_layers == 1 ? "" : "s", c.model_dim,
                  own ? " The weights are random: work does not ask what the numbers are." : ""));
  const Steps steps = run_steps(lesson, *model, timed, fast);
  lesson.figure("batch_difference", steps.batch_difference);
  lesson.require(
      steps.batch_difference < kRounding,
      fmt::format("a sequence gets the same logits in a batch of {} as alone, to rounding", kMostSequences));
  under_the_roof(lesson, roof, steps, timed);

  Steps grouped;
  if (own) grouped = run_steps(lesson, *lesson.model(kGrouped), false, fast);
  const bool as_said = batching(lesson, steps, own, grouped);
  const bool wide = model->config().model_dim >= kWide && fast;
  if (!wide)
    screen.say(
        fast
            ? "(On so narrow a model activations are most of prefill's traffic: that it waits for arithmetic "
              "is not asked here.)"
            : "(Of so short a prompt it is not asked that prefill waits for arithmetic.)");
  prefill_and_decode(lesson, roof, steps, timed, wide, as_said);
  lesson.try_this(
      {"Raise kMostSequences and the last of kBatches to 64: does a decode step wait for arithmetic now?",
       "Make the prompt in run_steps 4 tokens: on which side of the ridge does prefill lie?",
       "Run with --model fable-mha: why is prefill's intensity so much lower, though the prompt is long?"},
      "lesson 7, MHA, GQA, MQA.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(
      argc, argv,
      {6, "prefill and decode",
       "Which of the two is limited by arithmetic, which by memory? What does a larger batch change?"},
      lesson_06);
}
