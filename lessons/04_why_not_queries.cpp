// Lesson 4: why are keys and values cached, and queries not?
//
// We replace single rows of a running model by noise, and see what changes.
// Then we count how often each row is read.
//
// You will see   that replacing a past query changes nothing in one layer, but does in several layers without
//                a cache; which rows each layer needs; that keys and values stay the same, and what they
//                depend on; how much each past value adds to the output; how often each row is read
// Before this    lesson 2 (why old rows stay the same), lesson 3 (what computing them again costs)
// Open           src/trace/poke.h (what is replaced, and when), src/trace/dependence.h (which row depends on
//                which)
#include <algorithm>
#include <cmath>

#include "lessons/support/compare.h"
#include "lessons/support/lesson.h"
#include "lessons/support/no_mask.h"
#include "lessons/support/poke_trials.h"
#include "lessons/support/run_notes.h"
#include "session/twin.h"

using namespace lastrow;
using namespace lastrow::lessons;

namespace {

using What = Poke::What;
using Tokens = std::vector<int32_t>;
constexpr int kSteps = 8;  // decode steps after the prefill

const RecordOptions kRecordAll{.keep = RecordOptions::Keep::all, .probe = true};

/// What the parts of the lesson share: the model, and one generation with and without a cache.
struct Common {
  Lesson& lesson;
  std::shared_ptr<const Model> model;
  std::unique_ptr<TwinSession> twin{};  // at step kSteps

  int n_layers() const { return model->config().n_layers; }
  int n_tokens() const { return twin->cached().n_tokens_at(kSteps); }
  std::string word(int32_t position) const {
    return model->tokenizer().piece(twin->cached().tokens()[position]);
  }
};

/// Seven tokens in a model of one layer. The last step runs again and again, each time with one row replaced.
struct OneLayer {
  static constexpr int kPast = 6, kNoises = 4;
  int unnoticed = 0, tried = 0;   // past queries: every position and noise, on both sides
  int noticed = 0, expected = 0;  // rows that the last output row depends on, on both sides
  std::vector<std::vector<std::string>> table;

  void run(const Common& c, const std::shared_ptr<const Model>& model, bool masked) {
    const auto backend = [&] { return masked ? c.lesson.backend() : without_mask(c.lesson.backend()); };
    TwinSession twin(model, backend(), backend(), {.cache = c.lesson.cache()});
    twin.start(model->tokenizer().encode("t1 t2 t3 t4 t5 t6"));
    twin.advance(), twin.advance();
    LogitWatch watch(twin);
    for (int position = 0; position < kPast; ++position)
      for (uint64_t seed = 0; seed < kNoises; ++seed) {
        const auto [cached, again] =
            watch.poke({.what = What::q, .position = position, .seed = seed, .step = 1});
        unnoticed += cached.same_bits + again.same_bits;
        tried += 2;
      }
    const struct {
      const char* name;
      What what;
      int position;
    } kReplaced[] = {{"q[2], a past query", What::q, 2},
                     {"q[6], its own query", What::q, kPast},
                     {"k[2], a past key", What::k, 2},
                     {"v[2], a past value", What::v, 2}};
    table.resize(std::size(kReplaced));
    for (size_t i = 0; i < table.size(); ++i) {
      const auto& r = kReplaced[i];
      if (table[i].empty()) table[i].push_back(r.name);
      const auto [cached, again] = watch.poke({.what = r.what, .position = r.position, .step = 1});
      table[i].insert(table[i].end(), {share(cached.moved), share(again.moved)});
      if (r.what == What::q && r.position < kPast) continue;  // counted above
      noticed += (cached.moved > kRounding) + (again.moved > kRounding);
      expected += 2;
    }
  }
};

/// One layer, with and without a mask: row t uses only q[t]. Returns whether this holds.
bool one_layer(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("One layer: a past query is not used");
  screen.say(
      "A model of one layer reads seven tokens, with and without a cache. In the last step one row becomes "
      "noise. Change of the logits, in % of the largest:");
  const ModelConfig& config = c.model->config();
  const auto model = load_model(fmt::format("random:layers=1,q_heads={},kv_heads={},head_dim={},seed=1",
                                            config.n_q_heads, config.n_kv_heads, config.head_dim));
  OneLayer trial;
  for (const bool masked : {true, false}) trial.run(c, model, masked);
  screen.table({"replaced by noise", "causal mask: cache", "no cache", "no mask: cache", "no cache"},
               trial.table);
  screen.say(
      "Output row t depends on q[t] and on all keys and values that it sees. It depends on no other query, "
      "with any mask: q[2] is used in row 2 only.");
  c.lesson.figure("one_layer_pokes", trial.tried);
  c.lesson.figure("one_layer_unnoticed", trial.unnoticed);
  const bool blind = c.lesson.require(
      trial.unnoticed == trial.tried,
      fmt::format("past q replaced: same bits in {} of {} runs ({} rows · {} noises · 4 columns)",
                  trial.unnoticed, trial.tried, OneLayer::kPast, OneLayer::kNoises));
  const bool sees = c.lesson.require(trial.noticed == trial.expected,
                                     "its own query, a past key or a past value replaced: the logits change");
  return blind && sees;
}

/// Several layers: without a cache, a past query of a lower layer is
/// needed to compute K and V of the next layer.
void several_layers(Common& c, bool one_layer_holds) {
  Screen& screen = c.lesson.screen();
  screen.section("Several layers: without a cache, past queries are needed");
  const int position = 1;
  const double apart = moved(c.twin->cached().logits(), c.twin->recompute().logits());
  screen.say(
      fmt::format("{} ({} layers) has {} tokens: “{}”. We replace q[{}] (“{}”) in one layer, in the last "
                  "step.",
                  c.model->config().name, c.n_layers(), c.n_tokens(),
                  c.model->tokenizer().decode(c.twin->cached().tokens()), position, c.word(position)));
  LogitWatch watch(*c.twin);
  bool last_same = false, lower_moved = true;
  int with_cache = 0, without = 0;  // layers in which the replaced query changes the logits
  std::vector<std::vector<std::string>> rows;
  for (int layer = 0; layer < c.n_layers(); ++layer) {
    const auto [cached, again] =
        watch.poke({.what = What::q, .layer = layer, .position = position, .seed = 1, .step = kSteps});
    const bool last = layer == c.n_layers() - 1;
    with_cache += !cached.same_bits;
    without += !again.same_bits;
    if (last) last_same = again.same_bits;
    if (!last) lower_moved &= again.moved > kRounding;
    c.lesson.figure(fmt::format("recompute_moved_layer_{}", layer), again.moved);
    rows.push_back({fmt::format("layer {}{}", layer, last ? " (last)" : ""),
                    cached.same_bits ? "same bits" : "changed",
                    again.same_bits ? "same bits" : fmt::format("moved {}", share(again.moved))});
  }
  c.twin->set_pokes({});
  screen.table(
      {fmt::format("q[{}] replaced in", position), "with cache", "without cache (of the largest logit)"},
      rows);
  screen.say(fmt::format(
      "Without a cache, q[{0}] in a lower layer gives row {0} of that layer's output. From this row the "
      "next layer makes k[{0}] and v[{0}], and the last query reads them. The last layer has no "
      "next layer. With a cache, k[{0}] and v[{0}] were made once.",
      position));
  const bool agree = c.lesson.require(
      apart < kRounding,
      fmt::format("with no row replaced, both sides agree (logits differ by {})", share(apart)));
  c.lesson.figure("sides_apart", apart);
  c.lesson.found(
      {.claim = 1,
       .verdict = Verdict::holds_if,
       .shown = one_layer_holds && agree && with_cache == 0 && last_same && lower_moved,
       .measured = fmt::format("A past query was replaced in each of {1} layers. The logits changed in {0} "
                               "of them with the cache, in {2} without",
                               with_cache, c.n_layers(), without),
       .condition = "there is one layer, or a cache"},
      lacks_layers(*c.model));
}

/// Which rows must go through which part of each layer.
void needed_rows(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("Which rows does the next token need?");
  screen.say("We follow the trace back from the last row of logits. This step must compute:");
  const NeededRows cached(c.twin->cached(), kSteps), again(c.twin->recompute(), kSteps);
  const int64_t n = c.n_tokens();
  bool one_with_cache = true, as_expected = true;
  std::vector<std::vector<std::string>> rows;
  const auto row = [&](std::string name, std::vector<int64_t> with, std::vector<int64_t> without,
                       std::vector<int64_t> expected) {
    rows.push_back({std::move(name)});
    for (const auto& counts : {with, without})
      for (const int64_t count : counts) rows.back().push_back(fmt::format("{}", count));
    one_with_cache &= std::all_of(with.begin(), with.end(), [](int64_t x) { return x == 1; });
    as_expected &= without == expected;
  };
  for (int layer = 0; layer < c.n_layers(); ++layer) {
    const auto counts = [&](const NeededRows& needed) {
      return std::vector<int64_t>{needed.of(layer, site::kQProj), needed.of(layer, site::kKProj),
                                  needed.of(layer, site::kGateProj)};
    };
    const int64_t n_rows = layer == c.n_layers() - 1 ? 1 : n;  // the last layer needs only the last row
    row(fmt::format("layer {}", layer), counts(cached), counts(again), {n_rows, n, n_rows});
  }
  rows.push_back({"LM head", "", "", fmt::format("{}", cached.of(-1, site::kLmHead)), "", "",
                  fmt::format("{}", again.of(-1, site::kLmHead))});
  screen.table({"must compute", "cache: Q", "K, V", "MLP", "no cache: Q", "K, V", "MLP"}, rows);
  const int64_t kv_len = c.twin->cached().record().kv_len;
  one_with_cache &= cached.of(-1, site::kLmHead) == 1 && again.of(-1, site::kLmHead) == 1;
  screen.say(
      fmt::format("With the cache it also reads {1} rows of K and V in each layer, but {2} of them are from "
                  "earlier steps. Without a cache all {0} rows must go through every layer but the last. In "
                  "the last layer a past row needs only its norm, K and V.",
                  n, kv_len, kv_len - 1));
  c.lesson.figure("tokens", static_cast<double>(n));
  c.lesson.figure("mlp_rows_layer_0_cached", static_cast<double>(cached.of(0, site::kGateProj)));
  c.lesson.figure("mlp_rows_layer_0_recompute", static_cast<double>(again.of(0, site::kGateProj)));
  c.lesson.found(
      {.claim = 9,
       .verdict = Verdict::holds_if,
       .shown = one_with_cache && as_expected,
       .measured = fmt::format("MLP rows per layer below the last: {} with it, {} without; LM head: 1",
                               cached.of(0, site::kGateProj), again.of(0, site::kGateProj)),
       .condition = "there is a cache"},
      lacks_layers(*c.model));
}

/// All tokens in one step, with an empty cache. The session's recorder holds the tensors.
std::unique_ptr<DecodeSession> whole(const Common& c, const Tokens& tokens) {
  auto session = std::make_unique<DecodeSession>(
      c.model, c.lesson.backend(), SessionOptions{.record = kRecordAll, .cache = c.lesson.cache()});
  session->start(tokens);
  session->advance();
  return session;
}

ConstTensorView row_of(ConstTensorView x, int64_t row) {
  return !x.empty() && row < x.n_rows() ? x.rows(row, 1) : ConstTensorView();
}

/// The same token at two positions: how far apart are its K and its V in layer 0?
std::pair<double, double> elsewhere(Common& c) {
  Tokens twice = c.model->tokenizer().encode(Lesson::prompt_for(*c.model));
  const auto at = static_cast<int64_t>(twice.size());
  twice.push_back(twice.front());
  const auto session = whole(c, twice);
  const StepTensors tensors = session->recorder().tensors(0);
  const LayerTensors& layer = tensors.layers[0];
  const double k = moved(row_of(layer.k, 0), row_of(layer.k, at)),
               v = moved(row_of(layer.v, 0), row_of(layer.v, at));
  c.lesson.screen().say(
      fmt::format("But a key belongs to one position. After the prompt we read “{0}” once more, at position "
                  "{1}. In layer 0 its V differs from V at position 0 by {2}, its K by {3}: RoPE (rotary "
                  "position encoding) rotates q and k by the position.",
                  c.model->tokenizer().piece(twice[0]), at, share(v), share(k)));
  c.lesson.figure("same_token_elsewhere_k", k);
  return {k, v};
}

/// The cached rows over the whole generation, and the same rows computed again in each step.
void keys_stay(Common& c) {
  c.lesson.screen().section("Keys and values do not change");
  const auto& log = c.twin->cached().recorder().kv().rows();
  const auto once =
      std::count_if(log.begin(), log.end(), [](const auto& row) { return row.second.size() == 1; });
  const int64_t expected = int64_t{2} * c.n_layers() * c.n_tokens();
  double again_moved = 0;
  const Recorder& again = c.twin->recompute().recorder();
  for (int step = 1; step <= kSteps; ++step) {
    const StepTensors before = again.tensors(step - 1), after = again.tensors(step);
    for (int layer = 0; layer < c.n_layers(); ++layer) {
      const LayerTensors &a = before.layers[layer], &b = after.layers[layer];
      again_moved = std::max({again_moved, moved(a.k, b.k), moved(a.v, b.v)});
    }
  }
  c.lesson.figure("stored_rows", static_cast<double>(log.size()));
  c.lesson.figure("stored_rows_one_version", static_cast<double>(once));
  c.lesson.figure("recomputed_kv_moved", again_moved);
  const bool stored =
      c.lesson.require(once == expected && static_cast<int64_t>(log.size()) == expected,
                       fmt::format("with the cache, {} of {} rows of K and V kept their bits over {} steps",
                                   once, expected, kSteps + 1));
  const bool rounded =
      c.lesson.require(again_moved < kRounding,
                       fmt::format("computed again in each step, they move by {}: only rounding (lesson 9)",
                                   share(again_moved)));
  const auto [k, v] = elsewhere(c);
  c.lesson.found({.claim = 3,
                  .verdict = Verdict::holds_if,
                  .shown = stored && rounded && v < kRounding && k > kRounding,
                  .measured = fmt::format("{} of {} cached rows kept their bits; at another position K is "
                                          "off by {}",
                                          once, expected, share(k)),
                  .condition = "a token keeps its position, and attention only looks back (lesson 2)"});
}

/// How far k[3] moves in each layer if the token at position 0 changes.
void keys_depend(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("What does a key depend on? Change token 0 and look at k[3]");
  Tokens tokens(c.twin->cached().tokens().begin(), c.twin->cached().tokens().begin() + 4);
  const auto before = whole(c, tokens);
  tokens[0] = tokens[0] == tokens[2] ? tokens[1] : tokens[2];
  const auto after = whole(c, tokens);
  const StepTensors a = before->recorder().tensors(0), b = after->recorder().tensors(0);
  std::vector<Bar> bars;
  bool bottom = false, above = true;
  int n_moved = 0;
  for (int i = 0; i < c.n_layers(); ++i) {
    const ConstTensorView old = row_of(a.layers[i].k, 3), now = row_of(b.layers[i].k, 3);
    const double by = moved(old, now);
    bars.push_back({fmt::format("k[3] in layer {}", i), by, share(by)});
    c.lesson.figure(fmt::format("k3_moved_layer_{}", i), by);
    if (i == 0) bottom = same_bits(old, now);
    if (i > 0) above &= by > kRounding;
    if (i > 0 && by > kRounding) ++n_moved;
  }
  screen.bars(bars, "");
  c.lesson.found({.claim = 25,
                  .verdict = Verdict::holds_if,
                  .shown = bottom && above,
                  .measured = fmt::format("Layer 0: {}. In {} of {} layers above it, k[3] moved",
                                          bottom ? "same bits" : "other bits", n_moved, c.n_layers() - 1),
                  .condition = "the layer is the first one and the position stays the same"},
                 lacks_layers(*c.model));
}

/// If a past value changes by Δ, the head's output changes by p · Δ.
void values_share(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("Every past value has a share in the output");
  const int layer = c.n_layers() - 1, n_heads = c.model->config().n_q_heads;
  DecodeSession session(c.model, c.lesson.backend(), {.record = kRecordAll, .cache = c.lesson.cache()});
  session.start(c.model->tokenizer().encode(Lesson::prompt_for(*c.model)));
  session.advance(), session.advance();
  const std::vector<ValueShare> shares = value_shares(session, layer);
  if (shares.empty() || !std::isfinite(shares[0].error)) {
    c.lesson.require(false, "attend reads the values of this step");
    return;
  }
  std::vector<std::vector<std::string>> rows;
  double worst = 0;
  int64_t with_weight = 0;
  for (size_t s = 0; s < shares.size(); ++s) {
    const ValueShare& v = shares[s];
    worst = std::max(worst, v.error);
    with_weight += v.heads_with_weight;
    rows.push_back({fmt::format("v[{}] “{}”", s, c.word(static_cast<int32_t>(s))), fmt::format("{}", v.head),
                    fmt::format("{:.4f}", v.weight), fmt::format("{:+.4f}", v.delta),
                    fmt::format("{:+.4f}", v.weight * v.delta), fmt::format("{:+.4f}", v.changed)});
  }
  screen.say(
      fmt::format("Layer {}, the newest token's row: Σ p · v in each head. If one element of a value changes "
                  "by Δ, that element of the output must move by p · Δ. Of {} elements in {} heads, the one "
                  "that moved most:",
                  layer, n_heads * c.model->config().head_dim, n_heads));
  screen.table({"replaced", "head", "weight p", "Δ", "p · Δ", "output moved by"}, rows);
  const auto all = static_cast<int64_t>(shares.size()) * n_heads;
  c.lesson.figure("value_error", worst);
  c.lesson.figure("values_with_weight", static_cast<double>(with_weight));
  c.lesson.found({.claim = 4,
                  .verdict = Verdict::holds,
                  .shown = worst < kRounding && with_weight == all,
                  .measured = fmt::format(
                      "The weight is above 0 for {} of {} pairs of value and head. Every element of the "
                      "output moved by p · Δ (error ≤ {} of the largest element)",
                      with_weight, all, share(worst))});
}

/// How often attention reads each row in the cached generation. And does a query change more than a key?
void counted_reads(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("Which rows are read again?");
  const std::vector<RowReads> reads =
      count_reads(c.twin->cached().recorder(), c.n_layers() - 1, c.n_tokens());
  const auto n = static_cast<int64_t>(reads.size());
  bool once = true;
  for (int64_t j = 0; j < n; ++j) once &= reads[j].q == 1 && reads[j].k == n - j && reads[j].v == n - j;
  std::vector<std::vector<std::string>> rows;
  for (const int64_t j : {int64_t{0}, int64_t{3}, n - 1})
    rows.push_back(
        {fmt::format("token {}", j), fmt::format("{} ×", reads[j].q), fmt::format("{} ×", reads[j].k)});
  screen.say(fmt::format("How often attention in layer {} read a row, over all {} tokens of the generation:",
                         c.n_layers() - 1, n));
  screen.table({"", "q", "k and v"}, rows);
  const Recorder& again = c.twin->recompute().recorder();
  const StepTensors first = again.tensors(0), last = again.tensors(kSteps);
  double q3 = 0, k3 = 0;
  for (int layer = 0; layer < c.n_layers(); ++layer) {
    const LayerTensors &a = first.layers[layer], &b = last.layers[layer];
    q3 = std::max(q3, moved(row_of(a.q, 3), row_of(b.q, 3))),
    k3 = std::max(k3, moved(row_of(a.k, 3), row_of(b.k, 3)));
  }
  screen.say(
      fmt::format("Queries do not change either: without a cache q[3] was computed again in each of {} "
                  "steps, and from first to last it moved by {} (k[3]: {}).",
                  kSteps, share(q3), share(k3)));
  c.lesson.figure("q3_moved", q3);
  c.lesson.figure("reads_of_q", static_cast<double>(reads[0].q));
  c.lesson.figure("reads_of_k0", static_cast<double>(reads[0].k));
  c.lesson.figure("reads_of_k3", static_cast<double>(reads[3].k));
  c.lesson.found(
      {.claim = 26,
       .verdict = Verdict::wrong,
       .shown = once && q3 < kRounding && k3 < kRounding,
       .measured = fmt::format("q[3] was read {} time, k[3] and v[3] {} times", reads[3].q, reads[3].k),
       .condition = "q[3] is as fixed as k[3]; it is just never read again"});
}

/// Runs a part that reads the trace. If the trace contradicts the plan, as with some faults, a check fails
/// and the lesson goes on.
void with_trace(Common& c, void (*part)(Common&)) {
  try {
    part(c);
  } catch (const UsageError& e) {
    c.lesson.require(false, fmt::format("the trace of the run fits its plan: {}", e.what()));
  }
}

void lesson_04(Lesson& lesson) {
  Screen& screen = lesson.screen();
  Common c{lesson, lesson.model_with_rope("fable-mha")};
  const bool one_layer_holds = one_layer(c);
  auto cached = lesson.backend(), again = lesson.backend();
  c.twin = std::make_unique<TwinSession>(c.model, std::move(cached), std::move(again),
                                         SessionOptions{.record = kRecordAll, .cache = lesson.cache()});
  c.twin->start(c.model->tokenizer().encode(Lesson::prompt_for(*c.model)));
  for (int step = 0; step <= kSteps; ++step) c.twin->advance();

  several_layers(c, one_layer_holds);
  with_trace(c, needed_rows);
  keys_stay(c);
  keys_depend(c);
  values_share(c);
  with_trace(c, counted_reads);

  screen.section("What it would cost to keep queries too");
  const ModelConfig& config = c.model->config();
  const auto kept = [&](const char* name, int64_t n_rows) {
    const int64_t bytes = int64_t{4} * config.n_layers * config.head_dim * n_rows;
    return Bar{name, static_cast<double>(bytes), fmt::format("{} bytes per token", bytes)};
  };
  const std::vector<Bar> bars = {kept("K and V", int64_t{2} * config.n_kv_heads),
                                 kept("Q", config.n_q_heads)};
  screen.bars(bars, "");
  screen.say(
      "No later step would read them. A query is used once, for its own row. From this row the next layer "
      "makes K and V, and these are kept. Every later row reads K and V, and none reads Q. So we keep K and "
      "V and drop Q. (Why old rows never change: lesson 2.)");
  lesson.keep(c.twin->cached());
  lesson.try_this({"In several_layers set .when = Poke::When::since. Why does the cached side change now, in "
                   "every layer but one?",
                   "In needed_rows ask for the rows of step 1. What do you get instead of 12?",
                   "Run with --model fable-mqa. How many query heads read one value?"},
                  "lesson 5, training and generation.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(argc, argv,
                    {4, "why not queries?", "If we replace an old query by noise, do the logits change?",
                     "it changes the rows of every position, and looks for what reads them"},
                    lesson_04);
}
