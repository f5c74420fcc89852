// Lesson 5: why does training need no K/V cache?
//
// Because it knows the whole text. One forward gives a prediction, and a loss, at every position at once. In
// generation the next token is not there before this one has been chosen: the same rows, one a step.
//
// You will see   the loss at all positions from one forward of the trainer; the same numbers from a prefill,
//                and step by step from a cache; one real step of training; and what training keeps instead
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

/// The text, and the model as the program that generates and as the trainer have it.
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

/// The logits of every position, from a session that is fed one token a step.
std::vector<double> step_by_step(Common& c, DecodeSession& session) {
  std::vector<double> logits;
  session.start({c.tokens[0]});
  for (int64_t t = 0; t < c.n(); ++t) {
    session.advance(t == 0 ? -1 : c.tokens[t]);
    logits.insert(logits.end(), session.logits().begin(), session.logits().end());
  }
  return logits;
}

/// Everything that one forward of the trainer predicts. Returns its logits.
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
    rows.push_back({fmt::format("row {}: has read up to “{}”", t, c.word(t)),
                    fmt::format("“{}”", c.word(t + 1)), fmt::format("{:.1f} %", 100 * std::exp(-loss)),
                    fmt::format("{:.3f}", loss)});
  }
  screen.say(
      fmt::format("The trainer of the built-in models reads “{}” whole. Row t has seen tokens 0 … t only "
                  "(the mask), so it is an honest prediction of token t + 1, which stands in the text:",
                  c.model->tokenizer().decode(c.tokens)));
  screen.table({"", "should say", "p", "loss −ln p"}, rows);
  const double by_net = net.loss(c.tokens);
  screen.say(fmt::format(
      "{} losses from one forward, every query at work. Their mean, {:.3f}, is what training makes smaller.",
      c.n() - 1, sum / static_cast<double>(c.n() - 1)));
  c.lesson.figure("losses", static_cast<double>(c.n() - 1));
  c.lesson.figure("mean_loss", sum / static_cast<double>(c.n() - 1));
  c.lesson.require(std::abs(by_net - sum) < 1e-4 * sum,
                   fmt::format("the trainer's own sum of them is {:.3f}", by_net));
  return logits;
}

/// The same rows as a prefill and as single steps. Returns whether all agree within the bound.
bool same_numbers(Common& c, const std::vector<double>& trained, DecodeSession& session) {
  Screen& screen = c.lesson.screen();
  screen.section("Generation: the same rows, one a step");
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
      "Now the program that generates: first the whole text in one prefill, then one token a call with a "
      "cache, each step fed the word that stands in the text. The loss at each position:");
  screen.table({"should say", "trainer", "one prefill", "step by step"}, rows);
  const double of_trainer = judge::difference(trained, judged.logits).largest,
               of_prefill = judge::difference(prefill, judged.logits).largest,
               of_steps = judge::difference(steps, judged.logits).largest;
  c.lesson.figure("bound", judged.bound);
  c.lesson.figure("trainer_error", of_trainer);
  c.lesson.figure("prefill_error", of_prefill);
  c.lesson.figure("steps_error", of_steps);
  screen.say(
      fmt::format("All logits of all positions against exact arithmetic (double precision). Rounding alone "
                  "may take them {:.1e} away (lesson 9 says why).",
                  judged.bound));
  const auto within = [&](const char* who, double error) {
    return c.lesson.require(error <= judged.bound, fmt::format("{}: {:.1e} at most", who, error));
  };
  const bool a = within("the trainer's forward", of_trainer), b = within("one prefill", of_prefill),
             d = within("step by step, with a cache", of_steps);
  screen.say(
      "So the trainer's forward is the prefill, and the steps are its rows. Why then is generation done in "
      "steps? Because the text is not there yet: row t + 1 needs token t + 1, and that is what row t "
      "chooses.");
  return a && b && d;
}

/// One step of training on this text, and what it had to keep. Returns whether it learnt and kept Q, K and V.
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
      fmt::format("one step against the gradient: the loss of this text falls from {:.3f} to {:.3f}", before,
                  after));
  screen.say(
      "The forward was over when the backward pass began, and that needs its numbers again: the gradient of "
      "k[s] is a sum over all queries that looked at it, Σ_t dscore[t, s] · q[t]. So here queries are kept, "
      "and read once more. Bytes left by the forward for the backward, and by the same tokens in a cache:");
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
                                        "training keeps the K and V that a cache would, and Q besides");
  screen.say(
      "The difference is how long: training drops all of it after one step, a cache keeps K and V for as "
      "long as the text goes on.");
  return learnt && as_much;
}

/// One pass over the weights against one a token.
void what_it_costs(Common& c, int64_t weights_stepwise) {
  Screen& screen = c.lesson.screen();
  screen.section("What it costs");
  DecodeSession whole(c.model, c.lesson.backend(), {}), single(c.model, c.lesson.backend(), {});
  const auto at_once = [&] { whole.start(c.tokens), whole.advance(); };
  const auto [parallel_us, stepwise_us] = median_us_in_turns(5, at_once, [&] { step_by_step(c, single); });
  const int64_t once = whole.record().weight_bytes;
  screen.bars(std::vector<Bar>{{"all rows at once", static_cast<double>(once),
                                fmt::format("{:.1f} MB", 1e-6 * static_cast<double>(once))},
                               {"one row a step", static_cast<double>(weights_stepwise),
                                fmt::format("{:.1f} MB", 1e-6 * static_cast<double>(weights_stepwise))}},
              "");
  screen.say(
      fmt::format("Weights read for these {} tokens. In time the steps took {:.1f} times as long on this "
                  "machine, in this run: lesson 6 is about that.",
                  c.n(), stepwise_us / parallel_us));
  c.lesson.figure("weight_reads_ratio", static_cast<double>(weights_stepwise) / static_cast<double>(once));
  c.lesson.figure("stepwise_time_ratio", stepwise_us / parallel_us);
}

void lesson_05(Lesson& lesson) {
  Common c(lesson, lesson.model("fable-mha"));
  const std::vector<double> trained = parallel(c);
  DecodeSession session(c.model, lesson.backend(), {.record = lesson.record()});
  const bool agree = same_numbers(c, trained, session);

  int64_t written = 0, weights = 0;  // over all steps
  for (int32_t step = 0; step <= session.last_step(); ++step) {
    session.go_to(step);
    written += session.record().cache_bytes_written, weights += session.record().weight_bytes;
  }
  // Training keeps f32; a judge that computes in f64 also stores it.
  const auto stored = static_cast<int64_t>(size_of(session.backend_info().activation_dtype));
  const bool keeps = what_training_keeps(c, written * static_cast<int64_t>(sizeof(float)) / stored);
  what_it_costs(c, weights);
  lesson.found(
      {.claim = 8,
       .verdict = Verdict::holds,
       .shown = agree && keeps,
       .measured = fmt::format("{} losses from one forward, the same logits in {} steps to rounding. (No "
                               "cache, but Q, K and V are kept for the backward pass.)",
                               c.n() - 1, c.n())});
  lesson.keep(session);
  lesson.try_this(
      {"In step_by_step feed session.next_token() instead of the word in the text. From which row on do the "
       "losses differ, and is that a bug?",
       "Make rate ten times and a hundred times as large. When does the loss rise?",
       "Make the text longer: which of the bars grows with the square of its length?"},
      "lesson 6, prefill and decode.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(argc, argv,
                    {5, "training and generation", "Does training need a cache? What does it keep instead?"},
                    lesson_05);
}
