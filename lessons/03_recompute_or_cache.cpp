// Lesson 3: what does a cache save, and what does it cost?
//
// Without a cache a decoder keeps nothing between two tokens: to choose the next token it feeds all tokens
// again. With a cache it keeps the K and V rows and feeds only the newest token. Here both run side by side.
//
// You will see   which rows each step computes and which it reads; how the work grows with n, counted and
//                timed; how many bytes concatenation copies; the traffic of both; when a cache does not help
// Before this    lesson 2, the causal mask
// Open           src/session/twin.h (both side by side), src/session/session.cpp (run_step: the only
//                difference), src/ops/ (how flop and bytes are counted)
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "cost/memory.h"
#include "lessons/support/both_ways.h"
#include "lessons/support/compare.h"
#include "lessons/support/concatenated.h"
#include "lessons/support/measure.h"
#include "ops/site.h"

using namespace lastrow;
using namespace lastrow::lessons;

namespace {

constexpr int kShort = 8, kLong = 64;  // tokens in total
constexpr double kBand = 0.12;         // how far a fitted exponent may be off: n(n+1)/2 is not exactly n²
constexpr double kTimeBand = 0.3;      // for an exponent of times; beyond it the lesson says so

std::string power(double exponent) {
  return std::isfinite(exponent) ? fmt::format("n^{:.2f}", exponent) : "no power of n";
}
std::string thousands(double x) { return fmt::format("{:.1f}", x / 1e3); }

/// Rows of K projected per layer, from a prompt of p tokens until there are n tokens.
Both rows_projected(Lesson& lesson, const std::shared_ptr<const Model>& model, int p, int n) {
  TwinSession twin = make_twin(lesson, model, events_only());
  twin.start(first_tokens(*model, p));
  Both rows{};
  for (int len = p; len <= n; ++len) {
    twin.advance();
    rows[kWith] += static_cast<double>(twin.cached().record().kv_rows_projected) / model->config().n_layers;
    rows[kWithout] +=
        static_cast<double>(twin.recompute().record().kv_rows_projected) / model->config().n_layers;
  }
  return rows;
}

void both_side_by_side(Lesson& lesson, const std::shared_ptr<const Model>& model) {
  Screen& screen = lesson.screen();
  screen.section("The naive way: feed everything again");
  screen.say(
      "One token, then seven more. ● the step computes a K row (and a V row), ○ it reads the row from the "
      "cache. This is layer 0; the other layers do the same.");
  TwinSession twin = make_twin(lesson, model, lesson.record().value_or(events_only()));
  twin.start(first_tokens(*model, 1));
  std::vector<int> times[2] = {std::vector<int>(kShort), std::vector<int>(kShort)};
  std::vector<std::vector<std::string>> rows;
  double worst = 0;
  int same = 0;
  for (int step = 0; step < kShort; ++step) {
    twin.advance();
    const DecodeSession &with = twin.cached(), &without = twin.recompute();
    rows.push_back({fmt::format("{}", step), rows_picture(without.recorder().events(step), times[kWithout]),
                    fmt::format("{}", without.record().q_len),
                    rows_picture(with.recorder().events(step), times[kWith]),
                    fmt::format("{}", with.record().q_len)});
    worst = std::max(worst, moved(twin.cached().logits(), twin.recompute().logits()));
    same += twin.same_token();
  }
  rows.push_back({"times", fmt::format("{}", fmt::join(times[kWithout], " ")), "",
                  fmt::format("{}", fmt::join(times[kWith], " ")), ""});
  screen.table({"step", "without a cache", "rows", "with a cache", "rows"}, rows);
  lesson.keep(twin.cached());

  bool again = true;
  for (int j = 0; j < kShort; ++j) again &= times[kWithout][j] == kShort - j && times[kWith][j] == 1;
  lesson.require(again, "without a cache token j (from 1) is computed once, and then n − j times again");
  lesson.figure("largest_relative_difference", worst);
  lesson.require(worst < kRounding, fmt::format("both give the same logits up to rounding (difference {:.1g} "
                                                "of the largest); {} of {} tokens are the same",
                                                worst, same, kShort));
}

void rows_in_total(Lesson& lesson, const std::shared_ptr<const Model>& model) {
  constexpr int kPrompt = 4, kEnd = 12;
  const Both rows = rows_projected(lesson, model, 1, kShort);
  const Both from_prompt = rows_projected(lesson, model, kPrompt, kEnd);
  constexpr int kTriangle = kShort * (kShort + 1) / 2;
  constexpr int kFromPrompt = kEnd * (kEnd + 1) / 2 - kPrompt * (kPrompt - 1) / 2;
  lesson.figure("rows_without", rows[kWithout]);
  lesson.figure("rows_with", rows[kWith]);
  lesson.figure("rows_without_from_prompt", from_prompt[kWithout]);
  lesson.figure("rows_with_from_prompt", from_prompt[kWith]);
  lesson.found(
      {.claim = 5,
       .verdict = Verdict::holds,
       .shown = rows == Both{kShort, kTriangle} && from_prompt == Both{kEnd, kFromPrompt},
       .measured = fmt::format(
           "Per layer {} rows = 8 · 9 / 2 without the cache, {} with it. After a prompt of {} tokens: "
           "{} + {} + … + {} = {} rows, {} with it",
           rows[kWithout], rows[kWith], kPrompt, kPrompt, kPrompt + 1, kEnd, from_prompt[kWithout],
           from_prompt[kWith])});
}

bool counted_growth(Lesson& lesson, const std::array<std::vector<Work>, 2>& work) {
  Screen& screen = lesson.screen();
  screen.section("How the work grows");
  screen.say(
      fmt::format("The same up to n = {} tokens. Counted flop, as a power of n: the exponent is the slope of "
                  "log flop over log n, fitted over the last three quarters of the steps.",
                  work[kWith].size()));
  const struct {
    const char *label, *key;
    double Work::*of;
    Growth expected[2];
  } kQuantities[] = {{"projections and MLP", "matrices", &Work::matrices, {{0, 1}, {1, 2}}},
                     {"attention", "attention", &Work::attention, {{1, 2}, {2, 3}}}};
  bool within = true;
  std::vector<std::vector<std::string>> rows;
  for (const auto& q : kQuantities) {
    const Growth found[] = {growth(work[kWith], q.of), growth(work[kWithout], q.of)};
    for (double Growth::*kind : {&Growth::step, &Growth::in_all}) {
      const bool in_all = kind == &Growth::in_all;
      rows.push_back({fmt::format("{}, {}", q.label, in_all ? "total" : "per step")});
      for (const int i : {kWith, kWithout}) {
        within &= std::abs(found[i].*kind - q.expected[i].*kind) < kBand;
        rows.back().push_back(fmt::format("n^{:.2f}", std::abs(found[i].*kind)));
        lesson.figure(
            fmt::format("{}_{}_{}", q.key, in_all ? "in_all" : "step", i == kWith ? "with" : "without"),
            found[i].*kind);
      }
    }
  }
  screen.table({"", "with a cache", "without"}, rows);
  return lesson.require(within, fmt::format("all eight exponents are within {} of 0, 1, 2 or 3", kBand));
}

/// Times are taken only on a healthy backend that is built for speed, not on the plain loops or the emulator.
bool takes_times(Lesson& lesson) {
  return lesson.options().fault.empty() && lesson.backend()->info().is_fast;
}

/// A model whose steps are timed at n = first, 2 · first, … last tokens.
struct TimedModel {
  const char *key, *name, *spec;
  int first, last;
};
constexpr TimedModel kTimed[] = {
    {"ordinary", "wide", "random:layers=2,q_heads=8,head_dim=64,vocab=64", 16, 128},
    {"attention", "attention",
     "random:layers=1,q_heads=8,head_dim=64,model_dim=32,ffn=32,vocab=64,context=1024", 128, 1024}};

struct Timed {
  std::vector<double> n, us[2];  // us[kWith], us[kWithout]
  Both exponent{};
  double ratio(size_t i) const { return us[kWithout][i] / us[kWith][i]; }
};

Timed time_steps(Lesson& lesson, const TimedModel& m) {
  const auto model = load_model(m.spec);
  Timed timed;
  for (int len = m.first; len <= m.last; len *= 2) {
    const Both us = step_us(lesson, model, len, 5);
    timed.n.push_back(len);
    for (const int i : {kWith, kWithout}) timed.us[i].push_back(us[i]);
  }
  for (const int i : {kWith, kWithout}) {
    timed.exponent[i] = fitted_exponent(timed.n, timed.us[i]);
    lesson.figure(fmt::format("time_{}_{}", m.key, i == kWith ? "with" : "without"), timed.exponent[i]);
  }
  lesson.figure(fmt::format("time_{}_ratio", m.key), timed.ratio(timed.n.size() - 1));
  return timed;
}

/// Does time grow in the same way? Returns that, and a sentence about it ("" if no times are taken).
std::pair<bool, std::string> timed_growth(Lesson& lesson) {
  Screen& screen = lesson.screen();
  if (!takes_times(lesson)) {
    screen.say("No times are taken: on this backend they would say nothing about the cache.");
    return {true, ""};
  }
  screen.say(
      "Milliseconds per step: a wide model (model_dim 512), and a model that is nearly all attention (8 "
      "heads of 64, model_dim 32). The exponents are fitted over all n in between.");
  std::vector<Timed> timed;
  std::vector<std::vector<std::string>> rows;
  for (const TimedModel& m : kTimed) {
    const Timed& t = timed.emplace_back(time_steps(lesson, m));
    for (const size_t i : {size_t{0}, t.n.size() - 1}) {
      rows.push_back({m.name, fmt::format("{}", t.n[i]), fmt::format("{:.2f}", t.us[kWith][i] / 1e3),
                      fmt::format("{:.2f}", t.us[kWithout][i] / 1e3), fmt::format("{:.1f}", t.ratio(i))});
      for (const int side : {kWith, kWithout})
        rows.back().push_back(i == 0 ? "" : fmt::format("n^{:.2f}", t.exponent[side]));
    }
  }
  screen.table({"", "n", "with a cache", "without", "ratio", "growth with", "growth without"}, rows);
  const Timed &wide = timed[0], &attention = timed[1];
  const double least = std::min(wide.ratio(wide.n.size() - 1), attention.ratio(attention.n.size() - 1));
  const bool grows = least > 3 && attention.ratio(attention.n.size() - 1) > attention.ratio(0);
  lesson.require(
      grows,
      "at the largest n recompute takes more than 3 times as long; in the attention model the ratio "
      "grows with n");
  const bool like_flop = std::abs(attention.exponent[kWithout] - 2) < kTimeBand &&
                         std::abs(attention.exponent[kWith] - 1) < kTimeBand;
  return {grows,
          fmt::format(". Time: n^{:.2f} and n^{:.2f} in the attention model; n^{:.2f} and n^{:.2f} in the "
                      "wide model, where several rows cost little more than one{}",
                      attention.exponent[kWithout], attention.exponent[kWith], wide.exponent[kWithout],
                      wide.exponent[kWith],
                      like_flop ? "" : ". These times do not grow like the flop: is the machine busy?")};
}

void show_shapes(Screen& screen, const DecodeSession& session) {
  const Recorder& recorder = session.recorder();
  const int step = session.current_step(), layer = session.model().config().n_layers - 1;
  const auto shape = [&](const char* name) {
    const Tensor* t = recorder.find(step, layer, name);
    return t ? t->shape().to_string() : "?";
  };
  screen.say(fmt::format(
      "Step {} in layer {}, from its trace. One row in, one row out; K and V grow by one row:", step, layer));
  screen.table(
      {"", "reads", "writes"},
      {{"project", "x " + shape(site::kAttnNorm),
        fmt::format("q {}  k {}  v {}", shape(site::kQProj), shape(site::kKProj), shape(site::kVProj))},
       {"append", fmt::format("k, v, and {} rows", session.record().kv_len - 1),
        "K, V " + shape(recorded::kK)},
       {"attend", "q " + shape(recorded::kQ) + ", K, V",
        fmt::format("weights {}  out {}", shape(recorded::kProbs), shape(site::kAttend))},
       {"update", "out, x", "x " + shape(site::kAddAttn)}});
}

/// Bytes written so far, after each number of tokens: by copying all rows, and by appending in place.
struct Written {
  bool same = true;  // do both hold the same bits, in every step?
  std::vector<double> n, concatenated, appended;
};

Written write_both_ways(Lesson& lesson, const std::shared_ptr<const Model>& model, int n_tokens) {
  constexpr int kShown = 5;  // the number of tokens after the step whose shapes are shown
  DecodeSession session(model, lesson.backend(),
                        {.record = RecordOptions{.ops = {"*"}, .probe = true}, .cache = lesson.cache()});
  session.start(first_tokens(*model, 1));
  const auto n_layers = static_cast<size_t>(model->config().n_layers);
  std::vector<Concatenated> k(n_layers), v(n_layers);
  Written w;
  for (int len = 1; len <= n_tokens; ++len) {
    session.advance();
    const StepTensors t = session.recorder().tensors(len - 1);
    double written = 0;
    for (size_t layer = 0; layer < n_layers; ++layer) {
      const LayerTensors& stored = t.layers[layer];
      if (stored.k.empty() || stored.k.n_rows() != len) {
        w.same = false;
        continue;
      }
      k[layer].add(stored.k.rows(len - 1, 1)), v[layer].add(stored.v.rows(len - 1, 1));
      written += static_cast<double>(k[layer].written() + v[layer].written());
      w.same &= k[layer].same_bits(stored.k) && v[layer].same_bits(stored.v);
    }
    w.n.push_back(len);
    w.concatenated.push_back(written);
    w.appended.push_back((w.appended.empty() ? 0 : w.appended.back()) +
                         static_cast<double>(session.record().cache_bytes_written));
    if (len == kShown) show_shapes(lesson.screen(), session);
  }
  return w;
}

void one_step(Lesson& lesson, const std::shared_ptr<const Model>& model, int n_tokens) {
  Screen& screen = lesson.screen();
  screen.section("One decode step: project, append, attend, update");
  const Written w = write_both_ways(lesson, model, n_tokens);
  screen.say(
      "Textbooks concatenate: each step copies all old rows into a new tensor. The cache only writes the new "
      "row. We do both. Total kB written after n tokens:");
  std::vector<std::vector<std::string>> rows;
  for (const size_t len : {w.n.size() / 4, w.n.size() / 2, w.n.size()})
    rows.push_back(
        {fmt::format("{}", len), thousands(w.concatenated[len - 1]), thousands(w.appended[len - 1])});
  screen.table({"n", "concatenated", "appended"}, rows);
  lesson.require(w.same, "concatenated and appended K and V are bit-identical in every step");
  const double copies = growth(w.n, w.concatenated).step, appends = growth(w.n, w.appended).step;
  lesson.figure("concatenate_exponent", copies);
  lesson.figure("append_exponent", appends);
  lesson.figure("concatenate_bytes", w.concatenated.back());
  lesson.figure("append_bytes", w.appended.back());
  lesson.found({.claim = 7,
                .verdict = Verdict::holds_if,
                .shown = w.same && std::abs(copies - 2) < kBand && std::abs(appends - 1) < kBand,
                .measured = fmt::format(
                    "After {} tokens concatenation has written {:.1f} times as many bytes. Its "
                    "total grows as {}, that of appending as {}",
                    n_tokens, w.concatenated.back() / w.appended.back(), power(copies), power(appends)),
                .condition = "“concatenate” means append in place: real concatenation copies O(n²) bytes"});
}

void traffic_table(Screen& screen, const Work& with, const Work& without) {
  const auto row = [&](const char* label, int64_t OpCost::*of) {
    return std::vector<std::string>{label, thousands(static_cast<double>(with.all.*of)),
                                    thousands(static_cast<double>(without.all.*of))};
  };
  screen.table({"kB", "with a cache", "without"},
               {row("weights read", &OpCost::weight_bytes),
                row("K and V written", &OpCost::cache_bytes_written),
                row("K and V read", &OpCost::cache_bytes_read),
                row("activations", &OpCost::activation_bytes),
                {"all bytes", thousands(with.bytes()), thousands(without.bytes())},
                {"kflop", thousands(with.flop()), thousands(without.flop())},
                {"flop per byte", fmt::format("{:.2f}", with.flop_per_byte()),
                 fmt::format("{:.2f}", without.flop_per_byte())}});
}

/// Bytes and flop of the last step, and how the scratch of recompute grows.
void traffic(Lesson& lesson, const std::array<std::vector<Work>, 2>& work) {
  Screen& screen = lesson.screen();
  const Work &with = work[kWith].back(), &without = work[kWithout].back();
  screen.section("Does the cache trade flop for memory traffic?");
  screen.say(fmt::format("Counted, for the step that ends with {} tokens.", with.n));
  traffic_table(screen, with, without);
  std::vector<double> n, scratch;
  for (const Work& w : work[kWithout]) {
    n.push_back(w.n);
    scratch.push_back(static_cast<double>(w.all.cache_bytes_written));
  }
  const double exponent = growth(n, scratch).step, fewer_flop = without.flop() / with.flop(),
               fewer_bytes = without.bytes() / with.bytes();
  const bool same_reads = with.all.cache_bytes_read == without.all.cache_bytes_read;
  const bool fewer_written = with.all.cache_bytes_written * with.n == without.all.cache_bytes_written;
  const std::string kb[] = {thousands(static_cast<double>(with.all.cache_bytes_read)),
                            thousands(static_cast<double>(without.all.cache_bytes_read))},
                    reads = same_reads ? fmt::format("Both read the same {} kB", kb[kWith])
                                       : fmt::format("They read {} and {} kB", kb[kWith], kb[kWithout]);
  lesson.figure("intensity_with", with.flop_per_byte());
  lesson.figure("intensity_without", without.flop_per_byte());
  lesson.figure("bytes_ratio", fewer_bytes);
  lesson.figure("flop_ratio", fewer_flop);
  lesson.figure("scratch_exponent", exponent);
  lesson.found({.claim = 27,
                .verdict = Verdict::wrong,
                .shown = same_reads && fewer_written && fewer_bytes > 1 && fewer_flop > fewer_bytes &&
                         std::abs(exponent - 1) < kBand,
                .measured = fmt::format(
                    "{} of K and V. Recompute writes {} times as much, O(n^{:.2f}) within the step; it moves "
                    "{:.1f} times the bytes and does {:.0f} times the flop. The cache lowers flop per byte, "
                    "from {:.1f} to {:.1f}",
                    reads, without.all.cache_bytes_written / with.all.cache_bytes_written, exponent,
                    fewer_bytes, fewer_flop, without.flop_per_byte(), with.flop_per_byte()),
                .condition = "the cache saves traffic too, and without it a step needs O(n) memory"});
}

/// The steps with 1, 2, 4, … tokens, on a tiny model and on the lesson's.
struct Crossing {
  std::vector<std::vector<std::string>> rows;
  std::vector<double> tiny_ratio{1}, ratio{1};  // time without / with a cache; {1}: not timed
  int pays_from = 0;                            // the first n at which the cache helps the tiny model
};

Crossing time_crossing(Lesson& lesson, const std::shared_ptr<const Model>& model,
                       const std::array<std::vector<Work>, 2>& work, bool timed) {
  const auto tiny = load_model("random:layers=1,q_heads=2,head_dim=8,vocab=64");
  Crossing c;
  for (int n = 1; n <= static_cast<int>(work[kWith].size()); n *= 2) {
    const size_t i = static_cast<size_t>(n - 1);
    c.rows.push_back(
        {fmt::format("{}", n), fmt::format("{:.1f}", work[kWithout][i].flop() / work[kWith][i].flop())});
    if (!timed) continue;
    for (const auto& [which, ratios] : {std::pair(tiny, &c.tiny_ratio), std::pair(model, &c.ratio)}) {
      const Both us = step_us(lesson, which, n, 25);
      if (n == 1) ratios->clear();
      ratios->push_back(us[kWithout] / us[kWith]);
      for (const double x : us) c.rows.back().push_back(fmt::format("{:.{}f}", x, x < 100 ? 1 : 0));
      c.rows.back().push_back(fmt::format("{:.2f}", ratios->back()));
    }
    if (c.pays_from == 0 && c.tiny_ratio.back() > 1.5) c.pays_from = n;
  }
  return c;
}

/// When the cache does not help: at the first token, and on a tiny model for some tokens after it.
void crossing(Lesson& lesson, const std::shared_ptr<const Model>& model,
              const std::array<std::vector<Work>, 2>& work) {
  Screen& screen = lesson.screen();
  screen.section("When the cache does not help");
  const bool timed = takes_times(lesson);
  screen.say(fmt::format(
      "The first step has no past: both sides do the same work. Later the cache saves less time than flop, "
      "because calls and reading the weights cost as much for one row as for several.{}",
      timed ? " µs per step of a tiny model (one layer, width 16) and of this lesson's model:" : ""));
  const Crossing c = time_crossing(lesson, model, work, timed);
  std::vector<std::string> head{"n", "flop ratio"};
  if (timed) head.insert(head.end(), {"tiny: with", "without", "ratio", "model: with", "without", "ratio"});
  screen.table(head, c.rows);
  const OpCost &with = work[kWith][0].all, &without = work[kWithout][0].all;
  lesson.figure("first_step_time_ratio", c.ratio.front());
  lesson.figure("first_step_flop_ratio", work[kWithout][0].flop() / work[kWith][0].flop());
  lesson.figure("tiny_pays_from", c.pays_from);
  const std::string in_time =
      timed ? fmt::format(
                  " (time ratio {:.2f}). On the tiny model the cache helps (1.5 times) from about n = {} on",
                  c.ratio.front(), c.pays_from)
            : "";
  lesson.found({.claim = 24,
                .verdict = Verdict::wrong,
                .shown = with == without && c.ratio.front() < 2 && c.tiny_ratio.front() < 2,
                .measured = fmt::format("The first token costs {} flop and {} bytes on both sides{}",
                                        with_commas(with.flop), with_commas(with.bytes()), in_time),
                .condition = "for an answer of one token it saves nothing and only takes memory"});
}

void lesson_03(Lesson& lesson) {
  const auto model = lesson.model("fable-mha");
  const int n = kLong;
  both_side_by_side(lesson, model);
  rows_in_total(lesson, model);
  const auto work = run_both_ways(lesson, model, 1, n);
  const bool counted = counted_growth(lesson, work);
  const auto [timed, in_time] = timed_growth(lesson);
  const auto at = [&](int side, double Work::*of) { return growth(work[side], of); };
  lesson.found({.claim = 6,
                .verdict = Verdict::holds,
                .shown = counted && timed,
                .measured = fmt::format(
                    "Attention: n^{:.2f} per step without, n^{:.2f} with; in total n^{:.2f} and n^{:.2f}{}",
                    at(kWithout, &Work::attention).step, at(kWith, &Work::attention).step,
                    at(kWithout, &Work::attention).in_all, at(kWith, &Work::attention).in_all, in_time)});
  one_step(lesson, model, n);
  traffic(lesson, work);
  crossing(lesson, model, work);
  lesson.try_this({"Set kLong to 16. Which exponents leave their band? Why are they too small?",
                   "Let Concatenated double its capacity when full. What is its exponent now?",
                   "Run with --fault stale-rows. Which side is wrong, and why not the other?"},
                  "lesson 4, why not queries?");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(argc, argv,
                    {3, "recompute or cache?",
                     "How many rows of K do n tokens need without a cache? Is a cache always faster?",
                     "it counts how the work grows while every row is kept"},
                    lesson_03);
}
