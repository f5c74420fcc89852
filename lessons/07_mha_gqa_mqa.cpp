// Lesson 7: must every query head have keys and values of its own?
//
// In MHA (multi-head attention) each query head has a K/V head of its own. In GQA (grouped-query attention) a
// group of query heads reads the same K/V head; in MQA (multi-query attention) all of them do. One code path
// serves all three: query head h reads K/V head h / group_size.
//
// You will see   eight query heads that read two K/V heads; the allocated caches of three models; which
//                released models use what; and what sharing costs in loss, early in training and after it
// Before this    lesson 6, prefill and decode
// Open           src/backend/naive.cpp (where h / group_size stands), lessons/train/README.md (how the
//                three built-in models were made)
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>

#include "cost/memory.h"
#include "cost/presets.h"
#include "lessons/support/allocated.h"
#include "lessons/support/lesson.h"
#include "train/evaluate.h"
#include "train/trainer.h"

using namespace lastrow;
using namespace lastrow::lessons;

namespace {

constexpr const char* kFables[] = {"fable-mha", "fable-gqa", "fable-mqa"};

// The training runs are short and equal for all models. All of them end far above the floor.
constexpr int kSeeds = 2, kSteps = 40, kSeqLen = 64, kBatch = 4, kTexts = 8;
constexpr double kSmallEarly = 0.10;  // a "small" difference early in training: this share of MHA's loss
constexpr double kSmallLate = 0.02;   // … after training: this share of the floor

/// What attend of a decode step read and computed, converted to f32.
struct LastRow {
  Tensor q, k, scores;  // [1, n_q_heads, head_dim]   [n_keys, n_kv_heads, head_dim]   [n_q_heads, 1, n_keys]

  explicit LastRow(const LayerTensors& layer) : q(f32(layer.q)), k(f32(layer.k)), scores(f32(layer.scores)) {}
  static Tensor f32(ConstTensorView view) {
    Tensor copy = Tensor::host(DType::f32, view.shape());
    convert(view, copy.view());
    return copy;
  }
  int64_t n_keys() const { return k.shape()[0]; }
  int64_t kv_head(int64_t h) const { return h / (q.shape()[1] / k.shape()[1]); }
  const float* query(int64_t h) const { return q.data<float>() + h * q.shape()[2]; }
  const float* key(int64_t s, int64_t g) const {
    return k.data<float>() + (s * k.shape()[1] + g) * k.shape()[2];
  }
  float score(int64_t h, int64_t s) const { return scores.data<float>()[h * n_keys() + s]; }

  /// Computes every score again with the key of K/V head h / group_size. Returns the largest difference.
  double redone(const AttendSpec& spec) const {
    const int64_t head_dim = q.shape()[2];
    double worst = 0;
    for (int64_t h = 0; h < q.shape()[1]; ++h)
      for (int64_t s = 0; s < n_keys(); ++s) {
        if (std::isinf(score(h, s))) continue;  // outside the window of the layer
        double dot = 0;
        for (int64_t d = 0; d < head_dim; ++d) dot += double{query(h)[d]} * key(s, kv_head(h))[d];
        double x = dot * spec.score.scale;
        if (!spec.score.only_scales())  // a soft cap, or ALiBi: attention/score.h
          x = spec.score.finish(x, double{spec.score.slope(static_cast<int32_t>(h))},
                                static_cast<int32_t>(n_keys() - 1 - s));
        worst = std::max(worst, std::abs(x - score(h, s)));
      }
    return worst;
  }
};

std::string cells(const float* row) {
  return fmt::format("{:5.2f} {:5.2f} {:5.2f} …", row[0], row[1], row[2]);
}

void what_is_shared(Lesson& lesson, const std::shared_ptr<const Model>& model) {
  Screen& screen = lesson.screen();
  const ModelConfig& c = model->config();
  screen.section("What is shared");
  DecodeSession session(
      model, lesson.backend(),
      {.record = RecordOptions{.keep = RecordOptions::Keep::all, .probe = true}, .cache = lesson.cache()});
  session.start(model->tokenizer().encode(Lesson::prompt_for(*model)));
  session.advance();
  session.advance();
  lesson.keep(session);
  const StepTensors step = session.recorder().tensors(1);
  if (step.layers.back().k.empty()) {
    lesson.require(false, "attend reads the keys of this step");
    return;
  }
  const LastRow last(step.layers.back());
  screen.say(fmt::format(
      "{} has {} query heads and {} K/V heads, so {} query heads read the same keys. A decode step in the "
      "last layer: the newest token's query in each head, and the newest key that it reads (three of {} "
      "numbers):",
      c.name, c.n_q_heads, c.n_kv_heads, c.group_size(), c.head_dim));
  std::vector<std::vector<std::string>> rows;
  for (int h = 0; h < std::min(c.n_q_heads, 8); ++h)
    rows.push_back({fmt::format("{}", h), cells(last.query(h)), fmt::format("{}", last.kv_head(h)),
                    cells(last.key(last.n_keys() - 1, last.kv_head(h))),
                    fmt::format("{:.2f}", last.score(h, last.n_keys() - 1))});
  screen.table({"query head", "q", "K/V head", "k", "score"}, rows);
  const AttendSpec spec = attend_spec(c, c.n_layers - 1);
  const double error = last.redone(spec);
  lesson.figure("largest_score_error", error);
  lesson.figure("kv_heads", static_cast<double>(last.k.shape()[1]));
  lesson.require(
      error < 1e-3 && last.k.shape()[1] == c.n_kv_heads,
      fmt::format("all {} · {} scores are q[h] · k[h / {}] / √{}{}, with {} rows of K per token", c.n_q_heads,
                  last.n_keys(), c.group_size(), c.head_dim,
                  spec.score.only_scales() ? "" : " under the model's soft cap or ALiBi", c.n_kv_heads));
}

std::string kind_of(const ModelShape& s) {
  return s.n_kv_heads == s.n_q_heads ? "MHA" : s.n_kv_heads == 1 ? "MQA" : "GQA";
}

bool fables_allocated(Lesson& lesson) {
  Screen& screen = lesson.screen();
  screen.section("What it saves: the caches of three models");
  bool exact = true;
  std::vector<Bar> bars;
  int64_t of_mha = 0;
  for (const char* name : kFables) {
    const ModelConfig c = load_model(name)->config();
    const int64_t bytes = allocated_bytes(lesson, shape_of(c), c.max_seq_len);
    if (c.n_kv_heads == c.n_q_heads) of_mha = bytes;
    exact &= bytes * c.group_size() == of_mha &&
             bytes == cache_bytes(shape_of(c), c.max_seq_len, 1, cache_format("f16"));
    bars.push_back({fmt::format("{}, {} for {}", name, c.n_kv_heads, c.n_q_heads),
                    static_cast<double>(bytes) / 1024,
                    fmt::format("{} KiB, 1/{}", bytes / 1024, of_mha / std::max<int64_t>(bytes, 1))});
    lesson.figure(fmt::format("bytes_{}", name), static_cast<double>(bytes));
  }
  screen.say("Allocated for one sequence of 256 tokens in f16; K/V heads for query heads; share of MHA:");
  screen.bars(bars, "KiB");
  return lesson.require(exact, "the allocated bytes are MHA's bytes · n_kv_heads / n_q_heads");
}

/// Released models and the source of their sizes. Is each allocated cache smaller by n_q_heads / n_kv_heads?
void who_shares(Lesson& lesson, bool exact) {
  Screen& screen = lesson.screen();
  screen.say(
      "Released models, from their config.json. The last column is counted: how many times larger one "
      "layer's cache would be with a K/V head for each query head.");
  std::vector<std::vector<std::string>> rows;
  std::map<std::string, double> times;
  for (const ModelShape& s : presets()) {
    const int64_t own = allocated_bytes(lesson, changed(s, 1, s.n_kv_heads), 64),
                  all = allocated_bytes(lesson, changed(s, 1, s.n_q_heads), 64);
    exact &= all * s.n_kv_heads == own * s.n_q_heads &&
             own == cache_bytes(s, 64, 1, cache_format("f16")) / s.n_layers;
    times[s.name] = static_cast<double>(all) / static_cast<double>(own);
    rows.push_back({s.name, s.source.substr(0, s.source.find(' ')), fmt::format("{}", s.n_q_heads),
                    fmt::format("{}", s.n_kv_heads), kind_of(s), fmt::format("{:.1f}", times[s.name])});
    lesson.figure("shrinks_" + s.name, times[s.name]);
  }
  screen.table({"", "source", "query heads", "K/V heads", "", "times"}, rows);
  const auto kind = [](const char* name) { return kind_of(find_preset(name)); };
  const bool kinds = kind("gpt-2") == "MHA" && kind("mistral-7b") == "GQA" && kind("llama-3-70b") == "GQA" &&
                     kind("falcon-7b") == "MQA" && kind("gemma-2b") == "MQA" && kind("gemma-7b") == "MHA" &&
                     kind("gemma-2-9b") == "GQA";
  lesson.found(
      {.claim = 15,
       .verdict = Verdict::holds,
       .shown = exact && kinds,
       .measured = fmt::format("Counted for the built-in models and {} released ones: Llama-3-70B {:g} times "
                               "smaller, Mistral 7B {:g}, Falcon-7B {:g}. (Gemma 2B is {}, Gemma 7B is {}, "
                               "Gemma 2 is {})",
                               presets().size(), times["llama-3-70b"], times["mistral-7b"],
                               times["falcon-7b"], kind("gemma-2b"), kind("gemma-7b"), kind("gemma-2-9b"))});
}

struct Quality {
  int64_t n_params = 0;
  double trained = 0, floor = 0;  // nats per token on held-out texts: the built-in model, the lowest possible
  std::array<double, kSeeds> early{};  // the same loss after kSteps steps, one for each seed
  double early_mean() const { return std::accumulate(early.begin(), early.end(), 0.0) / kSeeds; }
};

Quality measure_quality(const char* name) {
  const train::TrainedModel built_in = train::as_trained(*load_model(name));
  const train::HeldOut end = held_out_loss(built_in, 4 * kTexts);
  Quality quality{.n_params = built_in.layout.size(), .trained = end.loss, .floor = end.floor};
  for (int seed = 1; seed <= kSeeds; ++seed) {
    train::TrainOptions options;
    options.seed = static_cast<uint64_t>(seed);
    options.batch = kBatch;
    options.seq_len = options.first_seq_len = kSeqLen;
    options.report_every = kSteps;
    options.adamw.n_steps = kSteps;
    options.adamw.warmup_steps = kSteps / 8;
    const train::TrainedModel early{built_in.layout, fit(built_in.layout, options, [](const auto&) {}), ""};
    quality.early[static_cast<size_t>(seed - 1)] = held_out_loss(early, kTexts).loss;
  }
  return quality;
}

/// Measures the loss of the three models and shows it as a table.
std::vector<Quality> show_losses(Lesson& lesson) {
  Screen& screen = lesson.screen();
  screen.say(fmt::format(
      "Loss in nats per token, on texts that were not used in training. The grammar that writes the texts "
      "gives the floor: no model can be better. “trained” are the built-in models after 16,000 steps each "
      "(the seed of fable-gqa was chosen from several, by its continuations). “early” are models that this "
      "run trains with {} steps of {} · {} tokens and seeds 1 to {}; all other settings are equal.",
      kSteps, kBatch, kSeqLen, kSeeds));
  std::vector<Quality> all;
  std::vector<std::vector<std::string>> rows;
  for (const char* name : kFables) {
    const Quality& q = all.emplace_back(measure_quality(name));
    rows.push_back({name, with_commas(q.n_params), fmt::format("{:.4f}", q.trained),
                    fmt::format("+{:.1f} %", 100 * (q.trained / q.floor - 1))});
    for (const double loss : q.early) rows.back().push_back(fmt::format("{:.3f}", loss));
    rows.back().push_back(fmt::format("{:.3f}", q.early_mean()));
    lesson.figure(fmt::format("trained_excess_{}", name), q.trained / q.floor - 1);
    lesson.figure(fmt::format("early_{}", name), q.early_mean());
    lesson.figure(fmt::format("params_{}", name), static_cast<double>(q.n_params));
  }
  std::vector<std::string> head = {"", "parameters", "trained", "over floor"};
  for (int seed = 1; seed <= kSeeds; ++seed)
    head.push_back(fmt::format("{}seed {}", seed == 1 ? "early: " : "", seed));
  head.push_back("mean");
  screen.table(head, rows);
  return all;
}

void what_it_costs(Lesson& lesson) {
  Screen& screen = lesson.screen();
  screen.section("What it costs: loss");
  const std::vector<Quality> all = show_losses(lesson);
  const double floor = all[0].floor;
  double early = 0, late = 0,
         spread = 0;  // largest difference of two models, early and trained; of two seeds
  for (const Quality& q : all) {
    for (const Quality& other : all) {
      early = std::max(early, (q.early_mean() - other.early_mean()) / all[0].early_mean());
      late = std::max(late, (q.trained - other.trained) / floor);
    }
    const auto [least, most] = std::minmax_element(q.early.begin(), q.early.end());
    spread = std::max(spread, *most / *least - 1);
  }
  screen.say(
      fmt::format("The floor of these texts is {:.4f}. GQA and MQA also have fewer parameters, {} and {} "
                  "less than MHA, so a difference may come from that too. Two seeds of the same model differ "
                  "by up to {:.1f} % in early loss, so smaller differences between models mean nothing. "
                  "After so few steps a model has mostly learnt single words and not yet to look back: trust "
                  "the trained numbers more.",
                  floor, with_commas(all[0].n_params - all[1].n_params),
                  with_commas(all[0].n_params - all[2].n_params), 100 * spread));
  lesson.figure("early_difference", early);
  lesson.figure("trained_difference", late);
  lesson.figure("seed_spread", spread);
  lesson.found(
      {.claim = 16,
       .verdict = Verdict::holds_if,
       .shown = early < kSmallEarly && late < kSmallLate && floor > 0 && all[0].trained > floor &&
                all[1].trained > floor && all[2].trained > floor,
       .measured = fmt::format(
           "Trained, the three differ by {:.2f} % of the floor. After {} steps their means differ by {:.1f} "
           "% of MHA's loss, and two seeds of one model by {:.1f} %",
           100 * late, kSteps, 100 * early, 100 * spread),
       .condition = "fewer K/V heads are enough for the task, as in these small models. This run tests no "
                    "harder task and no large model"});
}

void lesson_07(Lesson& lesson) {
  const auto model = lesson.model("fable-gqa");
  what_is_shared(lesson, model);
  who_shares(lesson, fables_allocated(lesson));
  what_it_costs(lesson);
  lesson.try_this(
      {"Run with --model fable-mqa, then with fable-mha. What do the two K/V columns show?",
       "Set kSteps to 400 and kSeeds to 4 (a few minutes). Do the means get closer?",
       "Run with --fault repeat-kv. It stores a copy for each query head, as if grouping only saved "
       "weights. What is lost, and what is still right?"},
      "lesson 8, what the cache costs.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(argc, argv,
                    {7, "MHA, GQA, MQA", "What do the heads of a group share, and what does it cost?",
                     "it computes the score of every key again"},
                    lesson_07);
}
