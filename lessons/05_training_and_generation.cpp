// Lesson 5: why does training need no K/V cache?
//
// In training the whole text is known. So one forward gives a prediction, and a loss, at every position at
// once. In generation the next token does not exist before this one is chosen,
// so the same rows come one per step.
//
// You will see   the loss at all positions from one forward of the trainer; the same numbers from a prefill,
//                and step by step with a cache; one real training step; and what training keeps instead
// Before this    lesson 4
// Open           lessons/train/network.h (forward and backward by hand), src/model/decoder.h (prefill and
//                decode are one call)
#include <cmath>
#include <numeric>

#include "judge/judged_logits.h"
#include "lessons/support/compare.h"
#include "lessons/support/lesson.h"
#include "lessons/support/measure.h"
#include "train/model_file.h"
#include "train/network.h"

using namespace lastrow;
using namespace lastrow::lessons;

namespace {

using Tokens = std::vector<int32_t>;
using Net = train::Network<float>;

/// The text, and the model twice: as the generating program has it, and as the trainer has it.
struct Common {
  Lesson& lesson;
  std::shared_ptr<const Model> model;
  Tokens tokens;
  train::TrainedModel trained;

  Common(Lesson& l, std::shared_ptr<const Model> m)
      : lesson(l), model(std::move(m)), trained(train::as_trained(*model)) {
    tokens = model->tokenizer().encode(model->tokenizer().is_numbered()
                                           ? "t1 t2 t3 t4 t5 t6 t7 t8 t9 t10"
                                           : "the quick brown fox jumps over the lazy dog.");
  }
  int64_t n() const { return static_cast<int64_t>(tokens.size()); }
  int64_t vocab() const { return model->config().vocab_size; }
  const std::string& word(int64_t t) const { return model->tokenizer().piece(tokens[t]); }
};

/// −ln p(target) of one row of logits.
double loss_of(const double* logits, int64_t vocab, int32_t target) {
  const double most = *std::max_element(logits, logits + vocab);
  double sum = 0;
  for (int64_t i = 0; i < vocab; ++i) sum += std::exp(logits[i] - most);
  return std::log(sum) + most - logits[target];
}

/// The logits of every position, from a session that gets one token per step.
std::vector<double> step_by_step(Common& c, DecodeSession& session) {
  std::vector<double> logits;
  session.start({c.tokens[0]});
  for (int64_t t = 0; t < c.n(); ++t) {
    session.advance(t == 0 ? -1 : c.tokens[t]);
    logits.insert(logits.end(), session.logits().begin(), session.logits().end());
  }
  return logits;
}

/// One forward of the trainer: a prediction at every position. Returns the logits.
std::vector<double> parallel(Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("Training: one forward, a prediction at every position");
  Net net(c.trained.layout, c.n());
  net.forward(c.trained.params.data(), c.tokens);
  const std::vector<double> logits(net.logits().data(), net.logits().data() + net.logits().size());
  std::vector<std::vector<std::string>> rows;
  double sum = 0;
  for (int64_t t = 0; t + 1 < c.n(); ++t) {
    const double loss = loss_of(logits.data() + t * c.vocab(), c.vocab(), c.tokens[t + 1]);
    sum += loss;
    rows.push_back({fmt::format("row {}: has seen up to “{}”", t, c.word(t)),
                    fmt::format("“{}”", c.word(t + 1)), fmt::format("{:.1f} %", 100 * std::exp(-loss)),
                    fmt::format("{:.3f}", loss)});
  }
  screen.say(fmt::format(
      "The trainer of the built-in models reads all of “{}”. Because of the mask, row t sees only "
      "tokens 0 … t. It predicts token t + 1, and the text has the right answer:",
      c.model->tokenizer().decode(c.tokens)));
  screen.table({"", "right answer", "p", "loss −ln p"}, rows);
  const double by_net = net.loss(c.tokens);
  screen.say(
      fmt::format("One forward computes {} rows and gives {} losses. The text has no word after “{}”, so the "
                  "last row and its query serve no loss; all other queries do. Training makes the mean of "
                  "the losses, {:.3f}, smaller.",
                  c.n(), c.n() - 1, c.word(c.n() - 1), sum / static_cast<double>(c.n() - 1)));
  c.lesson.figure("losses", static_cast<double>(c.n() - 1));
  c.lesson.figure("mean_loss", sum / static_cast<double>(c.n() - 1));
  c.lesson.require(std::abs(by_net - sum) < 1e-4 * sum,
                   fmt::format("the trainer computes the same sum, {:.3f}", by_net));
  return logits;
}

/// The same rows from a prefill and from single steps. Returns whether all agree within the bound.
bool same_numbers(Common& c, const std::vector<double>& trained, DecodeSession& session) {
  Screen& screen = c.lesson.screen();
  screen.section("Generation: the same rows, one per step");
  const judge::JudgedLogits judged = judge::judged_logits(*c.model, c.tokens);
  const std::vector<double> prefill = judge::all_logits(*c.model, *c.lesson.backend(), c.tokens),
                            steps = step_by_step(c, session);
  std::vector<std::vector<std::string>> rows;
  for (int64_t t = 0; t + 1 < c.n(); ++t) {
    const auto loss = [&](const std::vector<double>& logits) {
      return fmt::format("{:.6f}", loss_of(logits.data() + t * c.vocab(), c.vocab(), c.tokens[t + 1]));
    };
    rows.push_back({fmt::format("“{}”", c.word(t + 1)), loss(trained), loss(prefill), loss(steps)});
  }
  screen.say(
      "Now the program that generates text: first one prefill of the whole text, then one token per step "
      "with a cache, where each step gets the word from the text. The loss at each position:");
  screen.table({"right answer", "trainer", "one prefill", "step by step"}, rows);
  const double of_trainer = judge::difference(trained, judged.logits).largest,
               of_prefill = judge::difference(prefill, judged.logits).largest,
               of_steps = judge::difference(steps, judged.logits).largest;
  c.lesson.figure("bound", judged.bound);
  c.lesson.figure("trainer_error", of_trainer);
  c.lesson.figure("prefill_error", of_prefill);
  c.lesson.figure("steps_error", of_steps);
  screen.say(fmt::format(
      "The largest error of any logit, compared with double precision. Rounding alone may give {:.1e} "
      "(lesson 9 says why).",
      judged.bound));
  const auto within = [&](const char* who, double error) {
    return c.lesson.require(error <= judged.bound, fmt::format("{}: {:.1e}", who, error));
  };
  const bool a = within("the trainer's forward", of_trainer), b = within("one prefill", of_prefill),
             d = within("step by step, with a cache", of_steps);
  screen.say(
      "So the trainer's forward computes the same as a prefill, and the steps compute its rows one by one. "
      "Why does generation need steps? Because the text does not exist yet: row t + 1 needs token t + 1, and "
      "row t chooses it.");
  return a && b && d;
}

/// One training step on this text, and what it must keep.
/// Returns whether the loss fell and Q, K and V were kept.
bool what_training_keeps(Common& c, int64_t cache_bytes) {
  Screen& screen = c.lesson.screen();
  screen.section("What training keeps instead");
  Net net(c.trained.layout, c.n());
  net.forward(c.trained.params.data(), c.tokens);
  const Net::Kept kept = net.kept();
  const double before = net.loss(c.tokens);
  std::vector<float> gradient(c.trained.params.size()), better = c.trained.params;
  net.backward(c.trained.params.data(), c.tokens, 1.0f, gradient.data());
  const double length =
      std::sqrt(std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0));
  const double rate = 0.05 / length;
  for (size_t i = 0; i < better.size(); ++i) better[i] -= static_cast<float>(rate * gradient[i]);
  net.forward(better.data(), c.tokens);
  const double after = net.loss(c.tokens);
  const bool learnt = c.lesson.require(
      after < before,
      fmt::format("one step against the gradient lowers the loss of this text from {:.3f} to {:.3f}", before,
                  after));
  screen.say(
      "The backward pass needs the numbers of the forward again. For example, the gradient of k[s] is a sum "
      "over all queries that saw it, Σ_t dscore[t, s] · q[t]. So training keeps queries and reads them once "
      "more. Bytes that the forward keeps for the backward pass, and bytes of the same tokens in a cache:");
  const auto bar = [&](const char* name, int64_t bytes) {
    return Bar{name, static_cast<double>(bytes), fmt::format("{} bytes", bytes)};
  };
  const std::vector<Bar> bars = {bar("training: Q", kept.q), bar("          K and V", kept.k + kept.v),
                                 bar("          weights p", kept.probs),
                                 bar("          the rest", kept.other),
                                 bar("cache:    K and V", cache_bytes)};
  screen.bars(bars, "");
  c.lesson.figure("kept_q_bytes", static_cast<double>(kept.q));
  c.lesson.figure("kept_kv_bytes", static_cast<double>(kept.k + kept.v));
  c.lesson.figure("kept_bytes", static_cast<double>(kept.q + kept.k + kept.v + kept.probs + kept.other));
  c.lesson.figure("cache_bytes", static_cast<double>(cache_bytes));
  const bool as_much = c.lesson.require(kept.k + kept.v == cache_bytes && kept.q > 0,
                                        "training keeps the same K and V as a cache, and also Q");
  screen.say("But training drops all of it after one step. A cache keeps K and V as long as the text grows.");
  return learnt && as_much;
}

/// Reading the weights once for all tokens, or once per token.
void what_it_costs(Common& c, int64_t weights_stepwise) {
  Screen& screen = c.lesson.screen();
  screen.section("What it costs");
  const SessionOptions options{.cache = c.lesson.cache()};
  DecodeSession whole(c.model, c.lesson.backend(), options), single(c.model, c.lesson.backend(), options);
  const auto at_once = [&] { whole.start(c.tokens), whole.advance(); };
  const auto [parallel_us, stepwise_us] = median_us_in_turns(5, at_once, [&] { step_by_step(c, single); });
  const int64_t once = whole.record().weight_bytes;
  screen.bars(std::vector<Bar>{{"all rows at once", static_cast<double>(once),
                                fmt::format("{:.1f} MB", 1e-6 * static_cast<double>(once))},
                               {"one row per step", static_cast<double>(weights_stepwise),
                                fmt::format("{:.1f} MB", 1e-6 * static_cast<double>(weights_stepwise))}},
              "");
  screen.say(fmt::format(
      "Bytes of weights read for these {} tokens. In this run the steps took {:.1f} times as long; "
      "lesson 6 explains why.",
      c.n(), stepwise_us / parallel_us));
  c.lesson.figure("weight_reads_ratio", static_cast<double>(weights_stepwise) / static_cast<double>(once));
  c.lesson.figure("stepwise_time_ratio", stepwise_us / parallel_us);
}

void lesson_05(Lesson& lesson) {
  Common c(lesson, lesson.model_with_rope("fable-mha"));
  const std::vector<double> trained = parallel(c);
  DecodeSession session(c.model, lesson.backend(), {.record = lesson.record(), .cache = lesson.cache()});
  const bool agree = same_numbers(c, trained, session);

  int64_t written = 0, weights = 0;  // bytes over all steps
  for (int32_t step = 0; step <= session.last_step(); ++step) {
    session.go_to(step);
    written += session.record().cache_bytes_written, weights += session.record().weight_bytes;
  }
  // Training keeps f32. A backend that computes in f64 also stores f64.
  const auto stored = static_cast<int64_t>(size_of(session.backend_info().activation_dtype));
  const bool keeps = what_training_keeps(c, written * static_cast<int64_t>(sizeof(float)) / stored);
  what_it_costs(c, weights);
  lesson.found(
      {.claim = 8,
       .verdict = Verdict::holds,
       .shown = agree && keeps,
       .measured = fmt::format("One forward gave {} losses; {} steps gave the same logits up to rounding. "
                               "(Training needs no cache, but keeps Q, K and V for the backward pass.)",
                               c.n() - 1, c.n())});
  lesson.keep(session);
  lesson.try_this(
      {"In step_by_step feed session.next_token() instead of the word in the text. From which row on do the "
       "losses differ? Is that a bug?",
       "Make rate 10 or 100 times as large. When does the loss rise?",
       "Make the text longer. Which bar grows with the square of its length?"},
      "lesson 6, prefill and decode.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(argc, argv,
                    {5, "training and generation", "Does training need a cache? What does it keep instead?",
                     "it compares generation with training, in which a token sees all before it"},
                    lesson_05);
}
