// Lesson 1: what does attention compute?
//
// Three tokens, two dimensions, one head. You can check every number below with pencil and paper: the scale
// is ln 2, so e^(score · scale) is a power of two. (Models use 1/√head_dim; nothing else changes.)
//
// You will see   the scores, the weights and the output row of each token; the same rows computed one token
//                per step with a cache; and the same arithmetic on the heads of a trained model
// Before this    nothing
// Open           src/attention/mask.h (which query sees which key), src/backend/naive.cpp (the plain loops
//                that judge all other backends), src/cache/kv_cache.h (plan, commit)
#include <array>
#include <cmath>

#include "backend/backend.h"
#include "cache/contiguous_cache.h"
#include "lessons/support/lesson.h"

using namespace lastrow;
using namespace lastrow::lessons;

namespace {

constexpr int kTokens = 3, kDim = 2;
using Rows = std::array<std::array<float, kDim>, kTokens>;

constexpr Rows kQ = {{{2, 0}, {1, 2}, {1, 1}}};
constexpr Rows kK = {{{1, 0}, {0, 1}, {1, 1}}};
constexpr Rows kV = {{{8, 0}, {0, 4}, {2, 2}}};
const float kLn2 = std::log(2.0f);

/// All rows, by the definition. Row t sees keys 0 … t.
struct ByHand {
  float dot[kTokens][kTokens] = {};     // q[t] · k[s]
  float power[kTokens][kTokens] = {};   // 2^dot = e^(dot · ln 2)
  float weight[kTokens][kTokens] = {};  // power / sum of the row
  float out[kTokens][kDim] = {};

  ByHand() {
    for (int t = 0; t < kTokens; ++t) {
      float sum = 0;
      for (int s = 0; s <= t; ++s) {
        for (int d = 0; d < kDim; ++d) dot[t][s] += kQ[t][d] * kK[s][d];
        sum += power[t][s] = std::exp(dot[t][s] * kLn2);
      }
      for (int s = 0; s <= t; ++s) {
        weight[t][s] = power[t][s] / sum;
        for (int d = 0; d < kDim; ++d) out[t][d] += weight[t][s] * kV[s][d];
      }
    }
  }
};

/// The cells of a table, one row per query; "·" where the mask hides a key.
template <typename Cell>
std::vector<std::vector<std::string>> triangle(const Cell& cell) {
  std::vector<std::vector<std::string>> rows;
  for (int t = 0; t < kTokens; ++t) {
    rows.push_back({fmt::format("q[{}]", t)});
    for (int s = 0; s < kTokens; ++s) rows.back().push_back(s <= t ? cell(t, s) : "·");
  }
  return rows;
}

ConstTensorView rows_of(const Rows& rows, int first, int n) {
  return ConstTensorView(rows[first].data(), {n, 1, kDim});
}

/// Feeds tokens [first, first + n) through a backend and its cache; returns their output rows.
Tensor attend_step(Backend& backend, KvCache& cache, KvStorage& storage, int first, int n) {
  const std::vector<int32_t> tokens(static_cast<size_t>(n), 0);  // any ids: q, k and v are given
  const SequenceInput input{0, tokens};
  const StepPlan& plan = cache.plan({&input, 1});
  const Batch& batch = backend.begin_step(plan, storage);
  const Tensor q = backend.upload(rows_of(kQ, first, n)), k = backend.upload(rows_of(kK, first, n)),
               v = backend.upload(rows_of(kV, first, n));
  Tensor out = backend.make_tensor({n, 1, kDim}), lse = backend.make_tensor({n, 1});
  backend.run(Append{{0, "append"}, k.view(), v.view(), batch, storage});
  backend.run(
      Attend{{0, "attend"}, q.view(), storage, batch, {.score = {.scale = kLn2}}, out.view(), lse.view()});
  cache.commit(plan);
  Tensor host = Tensor::host(DType::f32, {n, kDim});
  backend.download(out.view().reshaped({n, kDim}), host.view());
  return host;
}

/// Computes the last row of head h again, from the q, k and v that attend read.
/// Returns the largest difference.
double redo_last_row(const LayerTensors& layer, int h, const AttendSpec& spec) {
  if (layer.k.empty()) return INFINITY;  // attend did not read the keys that it should have read
  const int64_t n_keys = layer.k.dim(0), head_dim = layer.q.dim(2), n_q_heads = layer.q.dim(1);
  const int64_t n_kv_heads = layer.k.dim(1), g = h / (n_q_heads / n_kv_heads), t = layer.q.dim(0) - 1;
  const auto f64 = [](ConstTensorView x) {
    Tensor copy = Tensor::host(DType::f64, x.shape());
    convert(x, copy.view());
    return copy;
  };
  const Tensor all_q = f64(layer.q), all_k = f64(layer.k), all_v = f64(layer.v), all_out = f64(layer.out);
  const auto row = [&](const Tensor& x, int64_t s) {
    return x.data<double>() + (s * n_kv_heads + g) * head_dim;
  };
  const int64_t at = (t * n_q_heads + h) * head_dim;
  std::vector<double> out(static_cast<size_t>(head_dim));
  double sum = 0;
  const VisibleKeys seen = visible_keys(spec.mask, /*q_len=*/1, static_cast<int32_t>(n_keys), 0);
  for (int32_t i = 0; i < seen.count(); ++i) {
    const int32_t s = seen.index(i);
    double dot = 0;
    for (int64_t d = 0; d < head_dim; ++d) dot += all_q.data<double>()[at + d] * row(all_k, s)[d];
    double score = dot * spec.score.scale;
    if (!spec.score.only_scales())  // a soft cap, or ALiBi: attention/score.h
      score = spec.score.finish(score, double{spec.score.slope(h)}, static_cast<int32_t>(n_keys) - 1 - s);
    const double power = std::exp(score);
    sum += power;
    for (int64_t d = 0; d < head_dim; ++d) out[d] += power * row(all_v, s)[d];
  }
  double worst = 0;
  for (int64_t d = 0; d < head_dim; ++d)
    worst = std::max(worst, std::abs(out[d] / sum - all_out.data<double>()[at + d]));
  return worst;
}

std::string pair_text(const std::array<float, kDim>& row) {
  return fmt::format("({:g}, {:g})", row[0], row[1]);
}

/// Scores, weights and output rows of the three tokens, by the loops of ByHand.
void by_hand(Lesson& lesson, const ByHand& hand) {
  Screen& screen = lesson.screen();
  screen.say(
      "Each token has three vectors: a query (q), which is its question; a key (k), by which other tokens "
      "find it; and a value (v), which is what they get from it.");
  std::vector<std::vector<std::string>> vectors;
  for (int t = 0; t < kTokens; ++t)
    vectors.push_back({fmt::format("token {}", t), pair_text(kQ[t]), pair_text(kK[t]), pair_text(kV[t])});
  screen.table({"", "q", "k", "v"}, vectors);

  screen.section("Scores: how well does each key match each query?");
  screen.say("The score is q[t] · k[s]. Later keys are masked: the row leaves them out.");
  screen.table({"", "k[0]", "k[1]", "k[2]"},
               triangle([&](int t, int s) { return fmt::format("{:g}", hand.dot[t][s]); }));
  screen.say(
      "Softmax turns scores into weights. It multiplies each score by a scale, raises e to the result, and "
      "divides each row by its sum, so that the weights add up to 1. Models use the scale 1/√head_dim. Here "
      "it is ln 2, because then e^(score · ln 2) = 2^score, and the numbers stay simple. The powers of 2, "
      "and then the weights:");
  auto powers = triangle([&](int t, int s) { return fmt::format("{:g}", hand.power[t][s]); });
  auto weights = triangle([&](int t, int s) { return fmt::format("{:.3f}", hand.weight[t][s]); });
  for (int t = 0; t < kTokens; ++t) {
    powers[t].push_back(fmt::format("{:g}", hand.power[t][0] + hand.power[t][1] + hand.power[t][2]));
    weights[t].push_back(fmt::format("({:.3f}, {:.3f})", hand.out[t][0], hand.out[t][1]));
  }
  screen.table({"", "k[0]", "k[1]", "k[2]", "sum"}, powers);
  screen.table({"weights", "v[0]", "v[1]", "v[2]", "output row"}, weights);
  screen.say("The last row with a pencil: ¼ · (8, 0) + ¼ · (0, 4) + ½ · (2, 2) = (3, 2).");
  lesson.require(std::abs(hand.out[2][0] - 3) < 1e-6f && std::abs(hand.out[2][1] - 2) < 1e-6f,
                 "the last row is (3, 2)");
}

/// The same rows from a backend: all tokens in one step, and one token per step with a cache.
void one_token_per_step(Lesson& lesson, const ByHand& hand) {
  Screen& screen = lesson.screen();
  screen.section("One token per step, with a cache");
  screen.say(
      "Now a backend computes the rows: first all three tokens in one step (prefill), then in a second run "
      "one token per step (decode). A decode step gets one q, one k and one v. It appends k and v to the "
      "cache and reads all cached rows. It does not keep q.");
  auto backend = lesson.backend("eigen", /*group_size=*/1);
  const CacheSpec spec = CacheSpec::contiguous(1, 1, kDim, kTokens);
  ContiguousCache whole(spec), stepwise(spec);
  auto whole_storage = backend->make_storage(spec), storage = backend->make_storage(spec);
  const Tensor prefill = attend_step(*backend, whole, *whole_storage, 0, kTokens);
  std::vector<std::vector<std::string>> rows;
  double from_hand = 0, from_prefill = 0;
  for (int t = 0; t < kTokens; ++t) {
    const Tensor row = attend_step(*backend, stepwise, *storage, t, 1);
    const float *out = row.data<float>(), *at_once = prefill.data<float>() + t * kDim;
    rows.push_back({fmt::format("step {}", t), fmt::format("q[{}]", t),
                    t == 0 ? "k[0]" : fmt::format("k[0] … k[{}]", t), fmt::format("{}", t + 1),
                    fmt::format("({:.3f}, {:.3f})", out[0], out[1])});
    for (int d = 0; d < kDim; ++d) {
      from_hand = std::max(from_hand, std::abs(double{out[d]} - hand.out[t][d]));
      from_prefill = std::max(from_prefill, std::abs(double{out[d]} - at_once[d]));
    }
  }
  screen.table({"", "query", "keys read", "cached rows of K, V", "output row"}, rows);
  lesson.figure("largest_error", from_hand);
  lesson.require(
      from_hand < 1e-5,
      fmt::format("the steps give the rows computed by hand (largest difference {:.1g})", from_hand));
  lesson.require(from_prefill < 1e-5,
                 "three steps of one token give the same rows as one step of three tokens");
}

/// The last row of every head of a real model, computed again with the same loops.
void on_a_trained_model(Lesson& lesson, const std::shared_ptr<const Model>& model) {
  Screen& screen = lesson.screen();
  screen.section("The same on a trained model");
  DecodeSession session(
      model, lesson.backend(),
      {.record = RecordOptions{.keep = RecordOptions::Keep::all, .probe = true}, .cache = lesson.cache()});
  const ModelConfig& config = model->config();
  const std::string prompt = Lesson::prompt_for(*model);
  session.start(model->tokenizer().encode(prompt));
  session.advance();
  session.advance();
  const StepTensors tensors = session.recorder().tensors(1);
  const int layer = config.n_layers - 1;
  const AttendSpec spec = attend_spec(config, layer);
  double worst = 0;
  for (int h = 0; h < config.n_q_heads; ++h)
    worst = std::max(worst, redo_last_row(tensors.layers[layer], h, spec));
  screen.say(fmt::format(
      "{} reads “{}”. In decode step 1, layer {} has one query per head and {} keys of {} "
      "dimensions. We run the loops from above on the q, k and v that the backend used. They give "
      "the output rows of all {} heads.",
      config.name, prompt, layer, tensors.kv_len, config.head_dim, config.n_q_heads));
  lesson.figure("model_largest_error", worst);
  lesson.require(worst < 1e-4,
                 fmt::format("our loops and the backend agree (largest difference {:.1g})", worst));
  lesson.keep(session);
}

void lesson_01(Lesson& lesson) {
  Screen& screen = lesson.screen();
  const ByHand hand;
  by_hand(lesson, hand);
  const auto model = lesson.model("fable-mha");
  one_token_per_step(lesson, hand);
  on_a_trained_model(lesson, model);

  screen.section("What it cost");
  screen.say(fmt::format(
      "One query row and its {} keys: 4 · {} · head_dim flop (a multiply and an add for the score, "
      "and the same for the weighted sum). It reads {} rows of K and {} of V. The query is read once.",
      kTokens, kTokens, kTokens, kTokens));
  lesson.try_this(
      {"Change kQ[0] or kQ[1] and look at the last row. Then change kK[0].",
       "Set k[2] to (5, 5). What weights do the other keys get?",
       "Run with --fault scale-twice. Which line fails first, and why is the very first row still right?"},
      "lesson 2, the causal mask.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(argc, argv,
                    {1, "attention by hand", "Three tokens, two dimensions: what is the last output row?",
                     "its loops let the last query see every key"},
                    lesson_01);
}
