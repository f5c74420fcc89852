// Lesson 9: are cached and recomputed outputs identical?
//
// They are the same function in exact arithmetic. A float has 24 bits, and a sum that is rounded at every
// step depends on its order. So: equal where the order is the same, near where it is not. How near is near
// enough?
//
// You will see   three numbers with two sums; cached against recomputed logits, to the bit and in steps of
//                the last bit; a bound that is measured, not chosen; a near-tie in which rounding decides the
//                word; and bugs, which are thousands of times beyond the bound, though some change no word at
//                all
// Before this    lesson 4
// Open           src/backend/naive.h (one order), src/backend/eigen.h (what fixes the bits there),
//                src/judge/tolerance.h (the bound)
#include <bit>
#include <cmath>
#include <limits>

#include "judge/judged_logits.h"
#include "lessons/support/lesson.h"
#include "registry/registry.h"
#include "session/twin.h"
#include "trace/named_faults.h"

using namespace lastrow;
using namespace lastrow::lessons;

namespace {

using Tokens = std::vector<int32_t>;
constexpr int kSteps = 20;  // of the generation, after the prefill

/// How many floats lie between two, counting one end: 0 for the same number, 1 for neighbours.
int64_t ulps(float a, float b) {
  const auto place = [](float x) {
    const auto bits = std::bit_cast<int32_t>(x);
    return int64_t{bits < 0 ? std::numeric_limits<int32_t>::min() - bits : bits};
  };
  return std::isfinite(a) && std::isfinite(b) ? std::abs(place(a) - place(b))
                                              : std::numeric_limits<int64_t>::max();
}

/// The logits of each step from the end of the prompt on, cached, with the tokens given: [n_rows · vocab].
std::vector<double> cached_logits(const std::shared_ptr<const Model>& model, std::unique_ptr<Backend> backend,
                                  const Tokens& tokens, size_t prompt_len) {
  DecodeSession session(model, std::move(backend), {});
  session.start({tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(prompt_len)});
  std::vector<double> logits;
  for (size_t n = prompt_len; n <= tokens.size(); ++n) {
    session.advance(n == prompt_len ? -1 : tokens[n - 1]);
    logits.insert(logits.end(), session.logits().begin(), session.logits().end());
  }
  return logits;
}

int32_t argmax(std::span<const double> row) {
  return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

void three_numbers(Lesson& lesson) {
  Screen& screen = lesson.screen();
  screen.section("Three numbers, two sums");
  const volatile float one = 1, small = 0x1p-24f;  // volatile: added when the lesson runs
  const float left = (one + small) + small, right = one + (small + small);
  screen.line(fmt::format("(1 + 2^-24) + 2^-24  =  {:.9f}", left));
  screen.line(fmt::format("1 + (2^-24 + 2^-24)  =  {:.9f}", right));
  screen.say(fmt::format(
      "The significand of a float has 24 bits. 1 + 2^-24 lies half-way between two floats and falls back to "
      "1, twice; but the two small numbers together reach the next float. The results are neighbours: {} ulp "
      "(unit in the last place) apart. A logit comes out of thousands of such sums.",
      ulps(left, right)));
  lesson.require(ulps(left, right) == 1, "the two sums are neighbours");
}

/// A generation with and without a cache, and the logits of each step.
struct Compared {
  Tokens tokens{};
  int64_t same_steps = 0, same_words = 0;
  std::vector<int64_t> ulps{};            // of every logit
  std::vector<double> cached{}, again{};  // [kSteps + 1, vocab]
};

Compared compared(TwinSession& twin, const Tokens& prompt) {
  Compared c;
  twin.start(prompt);
  for (int step = 0; step <= kSteps; ++step) {
    twin.advance();
    const auto a = twin.cached().logits(), b = twin.recompute().logits();
    bool same = true;
    for (size_t i = 0; i < a.size(); ++i) {
      c.ulps.push_back(ulps(a[i], b[i]));
      same &= c.ulps.back() == 0;
    }
    c.same_steps += same, c.same_words += twin.same_token();
    c.cached.insert(c.cached.end(), a.begin(), a.end());
    c.again.insert(c.again.end(), b.begin(), b.end());
  }
  c.tokens.assign(twin.cached().tokens().begin(), twin.cached().tokens().end());
  return c;
}

/// How many logits lie how many ulp apart.
void histogram(Screen& screen, const std::vector<int64_t>& all) {
  std::vector<Bar> bars = {{"0 ulp: the same bits", 0, ""}};
  for (const char* label : {"1", "2", "3 … 4", "5 … 8", "9 … 16", "17 … 32", "more"})
    bars.push_back({label, 0, ""});
  for (const int64_t n : all) {
    const auto place = n == 0 ? 0 : std::bit_width(static_cast<uint64_t>(n - 1)) + 1;
    ++bars[std::min<size_t>(static_cast<size_t>(place), bars.size() - 1)].value;
  }
  for (Bar& bar : bars) bar.shown = fmt::format("{:.0f}", bar.value);
  screen.bars(bars, "");
}

/// One order of summation: the same bits. Another: the last bits differ.
bool two_backends(Lesson& lesson, const std::shared_ptr<const Model>& model, TwinSession& twin,
                  const Tokens& prompt, Compared& result) {
  Screen& screen = lesson.screen();
  screen.section("The same with a cache, and computed again");
  TwinSession naive(model, make_backend("naive"), make_backend("naive"), {});
  const Compared plain = compared(naive, prompt);
  result = compared(twin, prompt);
  screen.say(fmt::format(
      "naive: plain loops, each row summed in one order, whatever else is in the step. With a cache it "
      "computes one row, without one all rows; the last row is the same sums. {} logits of {} steps:",
      plain.ulps.size(), kSteps + 1));
  const bool exact = lesson.require(
      plain.same_steps == kSteps + 1,
      fmt::format("cached = recomputed to the bit in {} of {} steps", plain.same_steps, kSteps + 1));
  const auto differ = std::count_if(result.ulps.begin(), result.ulps.end(), [](int64_t n) { return n != 0; });
  screen.say(fmt::format(
      "{}: {}. {}The distance of cached and recomputed logits, in ulp:", twin.cached().backend_info().name,
      twin.cached().backend_info().description,
      differ == 0 ? ""
                  : "A product with one row and a product with many rows use the processor in "
                    "different ways, and add up in different orders. "));
  histogram(screen, result.ulps);
  screen.say(
      fmt::format("{} of {} logits differ. (Many ulp means a logit near 0, where floats lie close together: "
                  "ulp tell how bits differ, not how much it matters.)",
                  differ, result.ulps.size()));
  lesson.figure("naive_same_steps", static_cast<double>(plain.same_steps));
  lesson.figure("logits", static_cast<double>(result.ulps.size()));
  lesson.figure("logits_that_differ", static_cast<double>(differ));
  lesson.figure("same_words", static_cast<double>(result.same_words));
  return exact;
}

/// Both sides within the measured bound; real bugs far outside it. Returns whether that is so.
bool rounding_or_bug(Lesson& lesson, const std::shared_ptr<const Model>& model, const Compared& run,
                     size_t prompt_len) {
  Screen& screen = lesson.screen();
  screen.section("Rounding or bug?");
  judge::JudgedLogits judged = judge::judged_logits(*model, run.tokens);
  const auto vocab = static_cast<size_t>(model->config().vocab_size);
  const std::vector<double> reference(
      judged.logits.begin() + static_cast<std::ptrdiff_t>((prompt_len - 1) * vocab), judged.logits.end());
  screen.say(fmt::format(
      "How far may rounding go? Measured, not guessed: plain f32 loops are run 16 times, every sum in "
      "another random order, and compared with double precision. Twice the worst of them, plus one last bit "
      "of the largest logit, is the bound: {:.1e} for these logits of up to {:.0f}.",
      judged.bound, judge::max_abs_finite(reference)));
  std::vector<std::vector<std::string>> rows;
  const auto row = [&](const std::string& who, const std::vector<double>& logits) {
    const double error = judge::difference(logits, reference).largest;
    int same = 0;
    for (size_t i = 0; i + vocab <= std::min(logits.size(), reference.size()); i += vocab)
      same += argmax({logits.data() + i, vocab}) == argmax({reference.data() + i, vocab});
    rows.push_back({who, fmt::format("{:.1e}", error), fmt::format("{:.2g}", error / judged.bound),
                    fmt::format("{} of {}", same, kSteps + 1)});
    return error / judged.bound;
  };
  const double cached = row("with the cache", run.cached), again = row("computed again", run.again);
  double least_bug = INFINITY;
  for (const char* fault : {"window-short", "position-zero", "offset-twice", "scale-twice"}) {
    auto backend = with_fault(fault, lesson.backend(), model->config().group_size());
    const double beyond =
        row(fmt::format("bug: {}", fault), cached_logits(model, std::move(backend), run.tokens, prompt_len));
    least_bug = std::min(least_bug, beyond);
    lesson.figure(fmt::format("beyond_{}", fault), beyond);
  }
  screen.table({"", "largest error", "of the bound", "right words"}, rows);
  screen.say(
      "So that is how to tell. Do not look at the words: a bug may change few of them, and rounding may "
      "change one, as you will see. Look at the distance: rounding stays below 1 in the column “of the "
      "bound”, a bug does not. (What each bug does: lesson 11.)");
  lesson.figure("bound", judged.bound);
  lesson.figure("cached_of_bound", cached);
  lesson.figure("recompute_of_bound", again);
  const bool within =
      lesson.require(cached <= 1 && again <= 1, "cached and recomputed logits are within the bound");
  const bool far = lesson.require(
      least_bug > 100, fmt::format("the mildest of the bugs is {:.0f} times beyond it", least_bug));
  return within && far;
}

/// What the model says after `tokens` and this word, greedily.
std::string continued(const std::shared_ptr<const Model>& model, std::unique_ptr<Backend> backend,
                      Tokens tokens, int32_t word) {
  tokens.push_back(word);
  DecodeSession session(model, std::move(backend), {});
  session.start(tokens);
  Tokens said = {word};
  for (int i = 0; i < 10; ++i) {
    session.advance();
    said.push_back(session.next_token());
  }
  return model->tokenizer().decode(said);
}

/// Two words that are a tie for this model, to all digits of a float, after this text.
constexpr const char* kTieModel = "fable-mha";
constexpr const char* kTie = "a quick duck named vobo sleeps.";

/// Returns whether the near-tie is one, and whoever chose otherwise had a reason in rounding.
bool near_tie(Lesson& lesson) {
  Screen& screen = lesson.screen();
  screen.section("A near-tie: rounding chooses the word");
  const auto model = load_model(kTieModel);
  const auto backend_of_tie = [&] { return lesson.backend("eigen", model->config().group_size()); };
  const Tokenizer& words = model->tokenizer();
  const Tokens tokens = words.encode(kTie);
  const auto vocab = static_cast<size_t>(model->config().vocab_size);
  const judge::JudgedLogits judged = judge::judged_logits(*model, tokens);
  const auto last = [&](const std::vector<double>& all) {
    return std::vector<double>(all.end() - static_cast<std::ptrdiff_t>(vocab), all.end());
  };
  const std::vector<double> exact = last(judged.logits);
  const int32_t first = argmax(exact);
  std::vector<double> others = exact;
  others[first] = -INFINITY;
  const int32_t second = argmax(others);
  const double margin = exact[first] - exact[second];
  screen.say(fmt::format(
      "{} reads “{}” What comes next? In double precision “{}” is ahead of “{}” by {:.1e}; logits of this "
      "size have their last bit at {:.1e}.",
      kTieModel, kTie, words.piece(first), words.piece(second), margin,
      std::nextafter(static_cast<float>(exact[first]), 100.0f) - static_cast<float>(exact[first])));
  std::vector<std::vector<std::string>> rows;
  int flips = 0, flips_of_orders = 0;
  bool within = true;  // the bound of double precision: so any other choice is rounding
  const auto ask = [&](const std::string& who, const std::vector<double>& row, bool shown) {
    const int32_t choice = argmax(row);
    if (shown)
      rows.push_back(
          {who, fmt::format("{:+.1e}", row[first] - row[second]), fmt::format("“{}”", words.piece(choice))});
    flips += choice != first;
    within &= judge::difference(row, exact).largest <= judged.bound;
    return choice;
  };
  ask("double precision", exact, true);
  for (uint64_t order = 0; order <= judge::kYardstickOrders; ++order) {
    NaiveBackend<float> naive(order);
    const bool shown = order <= 2;
    const int32_t choice = ask(order == 0 ? "naive, natural order" : fmt::format("naive, shuffled {}", order),
                               last(judge::all_logits(*model, naive, tokens)), shown);
    flips_of_orders += order > 0 && choice != first;
  }
  auto backend = backend_of_tie();
  const std::string name = backend->info().name;
  const int32_t again = ask(name + ", all at once", last(judge::all_logits(*model, *backend, tokens)), true);
  const int32_t cached =
      ask(name + ", with the cache", last(cached_logits(model, backend_of_tie(), tokens, 1)), true);
  screen.table({"computed by", fmt::format("“{}” − “{}”", words.piece(first), words.piece(second)), "says"},
               rows);
  screen.say(fmt::format(
      "Of {} shuffled orders {} say something else than double precision (of equal logits the first in the "
      "vocabulary wins; “v” is a letter, for names are spelt). With the cache and without: {}",
      judge::kYardstickOrders, flips_of_orders,
      cached == again ? "on this machine it did not flip, both say the same." : "the word flips."));
  screen.say("That much hangs on one bit. The two texts go on like this:");
  screen.line(fmt::format("… {} …", continued(model, backend_of_tie(), tokens, first)));
  screen.line(fmt::format("… {} …", continued(model, backend_of_tie(), tokens, second)));
  lesson.figure("margin", margin);
  lesson.figure("tie_bound", judged.bound);
  lesson.figure("cache_flips", cached != again);
  lesson.figure("orders_that_flip", flips_of_orders);
  screen.say(fmt::format(
      "The rule: a word may differ only where double precision itself is undecided, where its margin is "
      "below twice the bound (each of the two logits may be off by the bound, {:.1e} for this text).",
      judged.bound));
  return lesson.require(margin < 2 * judged.bound && within,
                        fmt::format("margin {:.1e} < 2 · {:.1e}, and no logit is further off than that "
                                    "bound: the {} other choices are rounding",
                                    margin, judged.bound, flips));
}

void lesson_09(Lesson& lesson) {
  Screen& screen = lesson.screen();
  three_numbers(lesson);
  const auto model = lesson.model("fable-mha");
  const Tokens prompt = model->tokenizer().encode(Lesson::prompt_for(*model));
  auto cached = lesson.backend(), again = lesson.backend();
  TwinSession twin(model, std::move(cached), std::move(again), {.record = lesson.record()});
  Compared run;
  const bool exact = two_backends(lesson, model, twin, prompt, run);
  const bool told = rounding_or_bug(lesson, model, run, prompt.size());
  const bool tie = near_tie(lesson);
  lesson.found(
      {.claim = 23,
       .verdict = Verdict::holds_if,
       .shown = exact && told && tie,
       .measured = fmt::format("Same bits on naive in all of {} steps; elsewhere within the measured bound, "
                               "and a word may flip where double precision has no margin",
                               kSteps + 1),
       .condition = "every sum runs in the same order"});

  screen.section("What it costs");
  screen.say(
      "Equal bits can be had: fix the order, as naive does, and pay with speed. Or know the bound, and "
      "compare with that. Tests of this project do both.");
  lesson.keep(twin.cached());
  lesson.try_this({"Set kTie to “the quick brown fox”: how large is the margin there, against the bound?",
                   "Add “repeat-kv” to the list of bugs, with --model fable-gqa. It changes no number: what "
                   "then gives it away? (Lesson 8.)",
                   "Run with --backend naive: what is left of the histogram?"},
                  "lesson 11, find the bug.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(
      argc, argv,
      {9, "numerics: equal, or nearly?", "Two sums of the same numbers differ. When is that a bug?"},
      lesson_09);
}
