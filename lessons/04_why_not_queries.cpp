// Lesson 4: why are keys and values cached, and queries not?
//
// We change single rows of a running model, and look who notices; then we count who reads what.
//
// You will see   past queries scrambled without a trace in one layer, and with a trace in several layers that
//                have no cache; which rows each layer still needs; keys and values that stay as they are, and
//                what they depend on; the share that every past value has in the output; and counted reads
// Before this    lesson 2 (why old rows stay), lesson 3 (what computing them again costs)
// Open           src/trace/poke.h (what is changed, and when), src/trace/dependence.h (which row came from
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
constexpr int kSteps = 8;  // of the generation, after the prefill

const RecordOptions kRecordAll{.keep = RecordOptions::Keep::all, .probe = true};

/// What the parts of the lesson share: the model, and a generation of it with and without a cache.
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

/// Seven tokens through a model of one layer, single rows of which are replaced in the last step.
struct OneLayer {
  static constexpr int kPast = 6, kNoises = 4;
  int unnoticed = 0, tried = 0;  // past queries, every position and noise, in each mode
  int noticed = 0, owed = 0;     // rows that the last output row is made of, in each mode
  std::vector<std::vector<std::string>> table;

  void run(const Common& c, const std::shared_ptr<const Model>& model, bool masked) {
    const auto backend = [&] { return masked ? c.lesson.backend() : without_mask(c.lesson.backend()); };
    TwinSession twin(model, backend(), backend(), {});
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
    const auto show = [&](const char* name, What what, int position) {
      const auto [cached, again] = watch.poke({.what = what, .position = position, .step = 1});
      table.push_back({name, masked ? "causal" : "none", share(cached.moved), share(again.moved)});
      if (what == What::q && position < kPast) return;  // counted above
      noticed += (cached.moved > kRounding) + (again.moved > kRounding);
      owed += 2;
    };
    show("q[2], a past query", What::q, 2);
    show("q[6], its own query", What::q, kPast);
    show("k[2], a past key", What::k, 2);
    show("v[2], a past value", What::v, 2);
  }
};

/// One layer, any mask: row t uses q[t] alone. Returns whether all pokes of past queries went unnoticed.
bool one_layer(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("One layer: a past query is not used");
  screen.say(
      "A model of one layer (random weights) has read six tokens and reads the seventh. Both sides work on "
      "it: one with a cache, one that computes everything again. We replace one row by noise and compare the "
      "logits.");
  const ModelConfig& config = c.model->config();
  const auto model = load_model(fmt::format("random:layers=1,q_heads={},kv_heads={},head_dim={},seed=1",
                                            config.n_q_heads, config.n_kv_heads, config.head_dim));
  OneLayer trial;
  for (const bool masked : {true, false}) trial.run(c, model, masked);
  screen.table({"replaced by noise", "mask", "logits moved: with cache", "without"}, trial.table);
  screen.say(
      "Row t of the output is made of q[t], and of all keys and values it may see. No other query occurs in "
      "it, under any mask: q[2] went into row 2 and nowhere else.");
  c.lesson.figure("one_layer_pokes", trial.tried);
  c.lesson.figure("one_layer_unnoticed", trial.unnoticed);
  const bool blind =
      c.lesson.require(trial.unnoticed == trial.tried,
                       fmt::format("past queries replaced: the last row's logits are bit-identical in {} "
                                   "of {} runs (each position, {} noises, both masks, both sides)",
                                   trial.unnoticed, trial.tried, OneLayer::kNoises));
  const bool sees = c.lesson.require(trial.noticed == trial.owed,
                                     "its own query, a past key, a past value: each one is noticed");
  return blind && sees;
}

/// Several layers: without a cache a past query of a lower layer rebuilds the K and V above it.
void several_layers(Common& c, bool one_layer_holds) {
  Screen& screen = c.lesson.screen();
  screen.section("Several layers: without a cache, past queries are needed after all");
  const int position = 1;
  const double apart = moved(c.twin->cached().logits(), c.twin->recompute().logits());
  screen.say(fmt::format(
      "Now {}, {} layers, {} tokens: “{}”. We replace q[{}] (“{}”) in one layer at a time, in the last step.",
      c.model->config().name, c.n_layers(), c.n_tokens(),
      c.model->tokenizer().decode(c.twin->cached().tokens()), position, c.word(position)));
  LogitWatch watch(*c.twin);
  bool last_same = false, lower_moved = true;
  int with_cache = 0, without = 0;  // layers in which the change is noticed
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
  screen.table({fmt::format("q[{}] replaced in", position), "with cache", "without cache"}, rows);
  screen.say(
      fmt::format("Without a cache, q[{0}] of a lower layer makes row {0} of that layer's output, and from "
                  "that row the next layer makes k[{0}] and v[{0}], which the last query does read. The last "
                  "layer has no layer above it. With a cache, k[{0}] and v[{0}] were made once, in the step "
                  "that read “{1}”; so the query has done its work.",
                  position, c.word(position)));
  const bool agree = c.lesson.require(
      apart < kRounding, fmt::format("unpoked, both sides agree (logits differ by {})", share(apart)));
  c.lesson.figure("sides_apart", apart);
  c.lesson.found({.claim = 1,
                  .verdict = Verdict::holds_if,
                  .shown = one_layer_holds && agree && with_cache == 0 && last_same && lower_moved,
                  .measured = fmt::format("An old query replaced in one of {1} layers changed the logits "
                                          "with the cache in {0} of them, without it in {2}",
                                          with_cache, c.n_layers(), without),
                  .condition = "there is one layer, or a cache"},
                 lacks_layers(*c.model));
}

/// Which rows have to go through which part of each layer.
void needed_rows(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("Which rows does the next token need?");
  screen.say(
      "Every operation of the run noted which rows it read. From the last row of logits back through these "
      "notes, the rows that are needed in this step, layer by layer:");
  const NeededRows cached(c.twin->cached(), kSteps), again(c.twin->recompute(), kSteps);
  const int64_t n = c.n_tokens();
  bool as_told = true, as_told_again = true;
  std::vector<std::vector<std::string>> rows;
  const auto row = [&](std::string name, std::vector<int64_t> with, std::vector<int64_t> without,
                       std::vector<int64_t> expected) {
    rows.push_back({std::move(name)});
    for (const auto& counts : {with, without})
      for (const int64_t count : counts) rows.back().push_back(fmt::format("{}", count));
    as_told &= std::all_of(with.begin(), with.end(), [](int64_t x) { return x == 1; });
    as_told_again &= without == expected;
  };
  for (int layer = 0; layer < c.n_layers(); ++layer) {
    const auto counts = [&](const NeededRows& needed) {
      return std::vector<int64_t>{needed.of(layer, site::kQProj), needed.of(layer, site::kKProj),
                                  needed.of(layer, site::kGateProj)};
    };
    const int64_t old = layer == c.n_layers() - 1 ? 1 : n;  // past rows too, but in the last layer
    row(fmt::format("layer {}", layer), counts(cached), counts(again), {old, n, old});
  }
  rows.push_back({"LM head", "", "", fmt::format("{}", cached.of(-1, site::kLmHead)), "", "",
                  fmt::format("{}", again.of(-1, site::kLmHead))});
  screen.table({"rows needed", "cache: Q", "K, V", "MLP", "no cache: Q", "K, V", "MLP"}, rows);
  as_told &= cached.of(-1, site::kLmHead) == 1 && again.of(-1, site::kLmHead) == 1;
  screen.say(
      fmt::format("Without a cache all {0} rows must pass every layer but the last; there, past rows need "
                  "only their norm and their K and V. (Our recompute runs all {0} rows through the last "
                  "layer's MLP too: this is what it needs.)",
                  n));
  c.lesson.figure("tokens", static_cast<double>(n));
  c.lesson.figure("mlp_rows_layer_0_cached", static_cast<double>(cached.of(0, site::kGateProj)));
  c.lesson.figure("mlp_rows_layer_0_recompute", static_cast<double>(again.of(0, site::kGateProj)));
  c.lesson.found(
      {.claim = 9,
       .verdict = Verdict::holds_if,
       .shown = as_told && as_told_again,
       .measured = fmt::format("MLP rows a layer below the last: {} with it, {} without; LM head: 1",
                               cached.of(0, site::kGateProj), again.of(0, site::kGateProj)),
       .condition = "there is a cache"},
      lacks_layers(*c.model));
}

/// All tokens in one step, from nothing; the recorder holds what it left.
std::unique_ptr<DecodeSession> whole(const Common& c, const Tokens& tokens) {
  auto session =
      std::make_unique<DecodeSession>(c.model, c.lesson.backend(), SessionOptions{.record = kRecordAll});
  session->start(tokens);
  session->advance();
  return session;
}

ConstTensorView row_of(ConstTensorView x, int64_t row) {
  return !x.empty() && row < x.n_rows() ? x.rows(row, 1) : ConstTensorView();
}

/// The same token at two positions, in layer 0: how far K and V are apart.
std::pair<double, double> elsewhere(Common& c) {
  Tokens twice = c.model->tokenizer().encode(Lesson::prompt_for(*c.model));
  const auto at = static_cast<int64_t>(twice.size());
  twice.push_back(twice.front());
  const auto session = whole(c, twice);
  const StepTensors tensors = session->recorder().tensors(0);
  const LayerTensors& layer = tensors.layers[0];
  const double k = moved(row_of(layer.k, 0), row_of(layer.k, at)),
               v = moved(row_of(layer.v, 0), row_of(layer.v, at));
  c.lesson.screen().say(fmt::format(
      "But a key belongs to a place. We read the prompt with “{0}” after it. Between “{0}” at position 0 "
      "and at position {1}, in layer 0, V differs by {2}, K by {3}: RoPE (rotary position encoding) turns q "
      "and k by an angle that grows with the position. So a stored key is wrong at any other.",
      c.model->tokenizer().piece(twice[0]), at, share(v), share(k)));
  c.lesson.figure("same_token_elsewhere_k", k);
  return {k, v};
}

/// Stored rows over the generation; and the same rows computed again in each step.
void keys_stay(Common& c) {
  c.lesson.screen().section("Keys and values stay as they were");
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
                       fmt::format("with the cache {} of {} rows of K and V kept their bits over {} steps",
                                   once, expected, kSteps + 1));
  const bool rounded = c.lesson.require(
      again_moved < kRounding,
      fmt::format("computed again in each step they moved by {}: rounding, at most (lesson 9)",
                  share(again_moved)));
  const auto [k, v] = elsewhere(c);
  c.lesson.found({.claim = 3,
                  .verdict = Verdict::holds_if,
                  .shown = stored && rounded && v < kRounding && k > kRounding,
                  .measured = fmt::format(
                      "{} of {} stored rows kept their bits; at another position K would be off by {}", once,
                      expected, share(k)),
                  .condition = "positions are not given anew and attention looks back only (lesson 2)"});
}

/// k[3] with another token at position 0, layer by layer.
void keys_depend(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("What does a key depend on? Change token 0, watch row 3");
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
  c.lesson.found(
      {.claim = 25,
       .verdict = Verdict::holds_if,
       .shown = bottom && above,
       .measured = fmt::format(
           "Layer 0: {}. Of the {} layers above it {} moved, for there k[3] is made of all tokens up to 3",
           bottom ? "same bits" : "other bits", c.n_layers() - 1, n_moved),
       .condition = "the layer is the first, and the position is given"},
      lacks_layers(*c.model));
}

/// One past value changed by Δ changes the head's output by p · Δ.
void values_share(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("Every past value has its share");
  const int layer = c.n_layers() - 1, n_heads = c.model->config().n_q_heads;
  DecodeSession session(c.model, c.lesson.backend(), {.record = kRecordAll});
  session.start(c.model->tokenizer().encode(Lesson::prompt_for(*c.model)));
  session.advance(), session.advance();
  const std::vector<ValueShare> shares = value_shares(session, layer);
  if (shares.empty() || !std::isfinite(shares[0].error)) {
    c.lesson.require(false, "attend reads the values that the step holds");
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
  screen.say(fmt::format(
      "Layer {}, the newest token's row. One past value is replaced: each of its elements changes by some Δ. "
      "If the row is Σ p · v, an element of it moves by p · Δ. Of the {} elements in {} heads, the one that "
      "moved most:",
      layer, n_heads * c.model->config().head_dim, n_heads));
  screen.table({"replaced", "head", "weight p", "Δ", "p · Δ", "output moved by"}, rows);
  const auto all = static_cast<int64_t>(shares.size()) * n_heads;
  c.lesson.figure("value_error", worst);
  c.lesson.figure("values_with_weight", static_cast<double>(with_weight));
  c.lesson.found(
      {.claim = 4,
       .verdict = Verdict::holds,
       .shown = worst < kRounding && with_weight == all,
       .measured = fmt::format("In {} of {} (value, head) pairs the weight is above 0; every element of the "
                               "output moved by p · Δ, to within {} of the largest",
                               with_weight, all, share(worst))});
}

/// Attention's reads over the cached generation; and is a query less fixed than a key?
void counted_reads(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("Who is read again?");
  const std::vector<RowReads> reads =
      count_reads(c.twin->cached().recorder(), c.n_layers() - 1, c.n_tokens());
  const auto n = static_cast<int64_t>(reads.size());
  bool as_told = true;
  for (int64_t j = 0; j < n; ++j) as_told &= reads[j].q == 1 && reads[j].k == n - j && reads[j].v == n - j;
  std::vector<Bar> bars;
  for (const int64_t j : {int64_t{0}, int64_t{3}, n - 1}) {
    bars.push_back({fmt::format("q[{}]", j), static_cast<double>(reads[j].q), ""});
    bars.push_back({fmt::format("k[{}], v[{}]", j, j), static_cast<double>(reads[j].k), ""});
  }
  screen.say(fmt::format(
      "Rows that attention read in layer {}, counted over all {} tokens of the generation:", c.n_layers() - 1,
      n));
  screen.bars(bars, "×");
  const Recorder& again = c.twin->recompute().recorder();
  const StepTensors first = again.tensors(0), last = again.tensors(kSteps);
  double q3 = 0, k3 = 0;
  for (int layer = 0; layer < c.n_layers(); ++layer) {
    const LayerTensors &a = first.layers[layer], &b = last.layers[layer];
    q3 = std::max(q3, moved(row_of(a.q, 3), row_of(b.q, 3))),
    k3 = std::max(k3, moved(row_of(a.k, 3), row_of(b.k, 3)));
  }
  screen.say(fmt::format(
      "It is not that queries change and keys do not. The side without a cache computed q[3] again in each "
      "of {} steps: from the first to the last it moved by {}, k[3] by {}. In a healthy run both are fixed "
      "as soon as token 3 is read.",
      kSteps, share(q3), share(k3)));
  c.lesson.figure("q3_moved", q3);
  c.lesson.figure("reads_of_q", static_cast<double>(reads[0].q));
  c.lesson.figure("reads_of_k0", static_cast<double>(reads[0].k));
  c.lesson.figure("reads_of_k3", static_cast<double>(reads[3].k));
  c.lesson.found(
      {.claim = 26,
       .verdict = Verdict::wrong,
       .shown = as_told && q3 < kRounding && k3 < kRounding,
       .measured = fmt::format("q[3] was read {} time, k[3] and v[3] {} times", reads[3].q, reads[3].k),
       .condition = "as told: q[3] is as fixed as k[3], it is merely not read again"});
}

/// A part that reads the notes of the run. Where they contradict the plan, the lesson objects and goes on.
void with_notes(Common& c, void (*part)(Common&)) {
  try {
    part(c);
  } catch (const UsageError& e) {
    c.lesson.require(false, fmt::format("the notes of the run fit its plan: {}", e.what()));
  }
}

void lesson_04(Lesson& lesson) {
  Screen& screen = lesson.screen();
  Common c{lesson, lesson.model("fable-mha")};
  const bool one_layer_holds = one_layer(c);
  auto cached = lesson.backend(), again = lesson.backend();
  c.twin = std::make_unique<TwinSession>(c.model, std::move(cached), std::move(again),
                                         SessionOptions{.record = kRecordAll});
  c.twin->start(c.model->tokenizer().encode(Lesson::prompt_for(*c.model)));
  for (int step = 0; step <= kSteps; ++step) c.twin->advance();

  several_layers(c, one_layer_holds);
  with_notes(c, needed_rows);
  keys_stay(c);
  keys_depend(c);
  values_share(c);
  with_notes(c, counted_reads);

  screen.section("What it would cost to keep queries too");
  const ModelConfig& config = c.model->config();
  const auto kept = [&](const char* name, int64_t n_rows) {
    const int64_t bytes = int64_t{4} * config.n_layers * config.head_dim * n_rows;
    return Bar{name, static_cast<double>(bytes), fmt::format("{} bytes a token", bytes)};
  };
  const std::vector<Bar> bars = {kept("K and V", int64_t{2} * config.n_kv_heads),
                                 kept("Q", config.n_q_heads)};
  screen.bars(bars, "");
  screen.say(
      "And what would read them? Nothing. So: a query serves its own row, once. Its row then becomes the K "
      "and V of the layer above, and those are kept. Every later row reads K and V, none reads Q. Keep K and "
      "V; drop Q. Old rows may be left alone because the mask keeps them from new tokens: lesson 2.");
  lesson.keep(c.twin->cached());
  lesson.try_this(
      {"In several_layers make the poke .when = Poke::When::since: the row is then wrong from the step that "
       "read it. Why does the cached side notice now, in every layer but one?",
       "In needed_rows ask for the rows of step 1 instead of the last. What stands there in place of 12?",
       "Run with --model fable-mqa: how many query heads does one value serve? Does p · Δ hold?"},
      "lesson 5, training and generation.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(
      argc, argv,
      {4, "why not queries?", "If an old query is scrambled, who notices: with the cache, and without?"},
      lesson_04);
}
