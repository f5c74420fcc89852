// Lesson 9: are cached and recomputed outputs identical?
//
// In exact arithmetic they are. But a float has 24 significant bits and every addition rounds, so a sum depends
// on its order. With the same order the bits are equal; with another order the results are only close. How
// close is close enough?
//
// You will see   three numbers with two sums; cached and recomputed logits, compared bit by bit and in units
//                of the last bit; a measured bound; a near-tie in which rounding chooses the word; and bugs
//                that are thousands of times beyond the bound, though some change no word
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
constexpr int kSteps = 20;  // decode steps after the prefill

/// The distance of two floats in units of the last bit: 0 for the same number, 1 for neighbours.
int64_t ulps(float a, float b) {
  const auto place = [](float x) {
    const auto bits = std::bit_cast<int32_t>(x);
    return int64_t{bits < 0 ? std::numeric_limits<int32_t>::min() - bits : bits};
  };
  return std::isfinite(a) && std::isfinite(b) ? std::abs(place(a) - place(b))
                                              : std::numeric_limits<int64_t>::max();
}

/// The logits of the prefill and of each decode step, with a cache and with the given tokens:
/// [n_rows · vocab].
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

/// The logits after these tokens without a cache, as a generation computes them: of the last row only, [vocab].
std::vector<double> recomputed_logits(const std::shared_ptr<const Model>& model,
                                      std::unique_ptr<Backend> backend, const Tokens& tokens) {
  DecodeSession session(model, std::move(backend), {.mode = Mode::recompute});
  session.start(tokens);
  session.advance();
  return {session.logits().begin(), session.logits().end()};
}

int32_t argmax(std::span<const double> row) {
  return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

void three_numbers(Lesson& lesson) {
  Screen& screen = lesson.screen();
  screen.section("Three numbers, two sums");
  const volatile float one = 1, small = 0x1p-24f;  // volatile: the program adds them, not the compiler
  const float left = (one + small) + small, right = one + (small + small);
  screen.line(fmt::format("(1 + 2^-24) + 2^-24  =  {:.9f}", left));
  screen.line(fmt::format("1 + (2^-24 + 2^-24)  =  {:.9f}", right));
  screen.say(
      fmt::format("A float has 24 significant bits. 1 + 2^-24 lies half-way between two floats and is "
                  "rounded to 1, twice. But the two small numbers together reach the next float. So the two "
                  "results differ by {} ulp (unit in the last place). A logit is the result of thousands of "
                  "such sums.",
                  ulps(left, right)));
  lesson.require(ulps(left, right) == 1, "the two sums are neighbouring floats");
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

/// How many logits differ by how many ulp.
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

/// The same order of summation gives the same bits. Another order changes the last bits.
bool two_backends(Lesson& lesson, const std::shared_ptr<const Model>& model, TwinSession& twin,
                  const Tokens& prompt, Compared& result) {
  Screen& screen = lesson.screen();
  screen.section("The same logits with a cache and without");
  TwinSession naive(model, make_backend("naive"), make_backend("naive"), {});
  const Compared plain = compared(naive, prompt);
  result = compared(twin, prompt);
  screen.say(fmt::format(
      "naive: plain loops, which sum a row in the same order whatever else is in the step. With a cache it "
      "computes one row, without a cache all rows, but the sums of the last row are the same. {} logits of "
      "{} steps:",
      plain.ulps.size(), kSteps + 1));
  const bool exact =
      lesson.require(plain.same_steps == kSteps + 1,
                     fmt::format("cached and recomputed logits are bit-identical in {} of {} steps",
                                 plain.same_steps, kSteps + 1));
  const auto differ = std::count_if(result.ulps.begin(), result.ulps.end(), [](int64_t n) { return n != 0; });
  screen.say(fmt::format(
      "{}: {}. {}Differences of cached and recomputed logits, in ulp:", twin.cached().backend_info().name,
      twin.cached().backend_info().description,
      differ == 0 ? ""
                  : "It computes a product with one row in another way than a product with many rows, so the "
                    "order of the sums differs. "));
  histogram(screen, result.ulps);
  screen.say(fmt::format(
      "{} of {} logits differ. (A logit near 0 may differ by many ulp, because floats near 0 are very "
      "close together. So ulp do not say how much a difference matters.)",
      differ, result.ulps.size()));
  lesson.figure("naive_same_steps", static_cast<double>(plain.same_steps));
  lesson.figure("logits", static_cast<double>(result.ulps.size()));
  lesson.figure("logits_that_differ", static_cast<double>(differ));
  lesson.figure("same_words", static_cast<double>(result.same_words));
  return exact;
}

/// Both sides are within the measured bound, and real bugs are far outside. Returns whether that holds.
bool rounding_or_bug(Lesson& lesson, const std::shared_ptr<const Model>& model, const Compared& run,
                     size_t prompt_len) {
  Screen& screen = lesson.screen();
  screen.section("Rounding or bug?");
  judge::JudgedLogits judged = judge::judged_logits(*model, run.tokens);
  const auto vocab = static_cast<size_t>(model->config().vocab_size);
  const std::vector<double> reference(
      judged.logits.begin() + static_cast<std::ptrdiff_t>((prompt_len - 1) * vocab), judged.logits.end());
  screen.say(
      fmt::format("How large can rounding errors be? We measure it: plain f32 loops run 16 times, each time "
                  "with another random order of every sum, and we compare with double precision. The bound "
                  "is twice the largest error, plus one last bit of the largest logit. Here it is {:.1e}, "
                  "for logits of up to {:.0f}.",
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
  const double cached = row("with the cache", run.cached), again = row("recomputed", run.again);
  double least_bug = INFINITY;
  for (const char* fault : {"window-short", "position-zero", "offset-twice", "scale-twice"}) {
    auto backend = with_fault(fault, lesson.backend(), model->config().group_size());
    const double beyond =
        row(fmt::format("bug: {}", fault), cached_logits(model, std::move(backend), run.tokens, prompt_len));
    least_bug = std::min(least_bug, beyond);
    lesson.figure(fmt::format("beyond_{}", fault), beyond);
  }
  screen.table({"", "largest error", "error / bound", "right words"}, rows);
  screen.say(
      "So compare numbers, not words: a bug may change only a few words, and rounding may change one, as you "
      "will see. With rounding alone error / bound stays below 1; with a bug it does not. (Lesson 11 says "
      "what each bug does.)");
  lesson.figure("bound", judged.bound);
  lesson.figure("cached_of_bound", cached);
  lesson.figure("recompute_of_bound", again);
  const bool within =
      lesson.require(cached <= 1 && again <= 1, "cached and recomputed logits are within the bound");
  const bool far = lesson.require(
      least_bug > 100, fmt::format("the smallest error of a bug is {:.0f} times the bound", least_bug));
  return within && far;
}

/// The model's greedy continuation after `tokens` and this word.
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

/// After this text two words are a tie for this model, to all digits of a float.
constexpr const char* kTieModel = "fable-mha";
constexpr const char* kTie = "a quick duck named vobo sleeps.";

/// The near-tie: the text, its two most probable words, and which computation chose which word.
struct Tie {
  std::shared_ptr<const Model> model;
  Tokens tokens{};
  judge::JudgedLogits judged{};
  std::vector<double> exact{};    // logits after the text in double precision, [vocab]
  int32_t first = 0, second = 0;  // the best word and the second best, by `exact`
  double margin = 0;              // logit of the first − logit of the second

  int flips = 0;       // how many choices were not `first`
  bool within = true;  // are all logits within the bound? Then every flip is rounding
  std::vector<std::vector<std::string>> rows{};  // of the table

  /// The last row of the logits of a whole text.
  std::vector<double> last_row(const std::vector<double>& all) const {
    return {all.end() - static_cast<std::ptrdiff_t>(model->config().vocab_size), all.end()};
  }
  std::string word(int32_t id) const { return model->tokenizer().piece(id); }

  /// Adds the choice that `row` makes; returns it.
  int32_t add(const std::string& computed_by, const std::vector<double>& row, bool shown = true) {
    const int32_t choice = argmax(row);
    if (shown)
      rows.push_back(
          {computed_by, fmt::format("{:+.1e}", row[first] - row[second]), fmt::format("“{}”", word(choice))});
    flips += choice != first;
    within &= judge::difference(row, exact).largest <= judged.bound;
    return choice;
  }
};

Tie make_tie() {
  Tie tie{.model = load_model(kTieModel)};
  tie.tokens = tie.model->tokenizer().encode(kTie);
  tie.judged = judge::judged_logits(*tie.model, tie.tokens);
  tie.exact = tie.last_row(tie.judged.logits);
  tie.first = argmax(tie.exact);
  std::vector<double> others = tie.exact;
  others[tie.first] = -INFINITY;
  tie.second = argmax(others);
  tie.margin = tie.exact[tie.first] - tie.exact[tie.second];
  return tie;
}

/// Shows which computation chooses which word. Reports how many orders of summation change the word, and
/// whether the cache changes it.
void choose_in_every_order(Lesson& lesson, Tie& tie) {
  Screen& screen = lesson.screen();
  const auto backend_of_tie = [&] { return lesson.backend("eigen", tie.model->config().group_size()); };
  tie.add("double precision", tie.exact);
  int flips_of_orders = 0;
  for (uint64_t order = 0; order <= judge::kYardstickOrders; ++order) {
    NaiveBackend<float> naive(order);
    const int32_t choice =
        tie.add(order == 0 ? "naive, natural order" : fmt::format("naive, random order {}", order),
                tie.last_row(judge::all_logits(*tie.model, naive, tie.tokens)), /*shown=*/order <= 2);
    flips_of_orders += order > 0 && choice != tie.first;
  }
  auto backend = backend_of_tie();
  const std::string name = backend->info().name;
  tie.add(name + ", logits of all rows", tie.last_row(judge::all_logits(*tie.model, *backend, tie.tokens)));
  const int32_t again =
      tie.add(name + ", without a cache", recomputed_logits(tie.model, backend_of_tie(), tie.tokens));
  const int32_t cached = tie.add(name + ", with the cache",
                                 tie.last_row(cached_logits(tie.model, backend_of_tie(), tie.tokens, 1)));
  screen.table(
      {"computed by", fmt::format("“{}” − “{}”", tie.word(tie.first), tie.word(tie.second)), "chooses"},
      tie.rows);
  screen.say(fmt::format(
      "{1} of {0} random orders choose another word than double precision. (If logits are equal, the first "
      "word in the vocabulary wins. “v” is a letter, because names are spelt.) “Logits of all rows” gets the "
      "logits of every row from one matrix product; a generation computes those of the last row only, with "
      "the cache or without it. So that is another order too. With the cache and without it, {2}",
      judge::kYardstickOrders, flips_of_orders,
      cached == again ? "this machine chooses the same word." : "this machine chooses different words."));
  screen.say("One bit decides. The two texts continue like this:");
  for (const int32_t word : {tie.first, tie.second})
    screen.line(fmt::format("… {} …", continued(tie.model, backend_of_tie(), tie.tokens, word)));
  lesson.figure("cache_flips", cached != again);
  lesson.figure("orders_that_flip", flips_of_orders);
}

/// Returns whether this is a near-tie, and rounding explains every choice that differs.
bool near_tie(Lesson& lesson) {
  Screen& screen = lesson.screen();
  screen.section("A near-tie: rounding chooses the word");
  Tie tie = make_tie();
  screen.say(
      fmt::format("{} reads “{}” What comes next? In double precision the logit of “{}” is larger than that "
                  "of “{}” by {:.1e}. The last bit of a float of this size is {:.1e}.",
                  kTieModel, kTie, tie.word(tie.first), tie.word(tie.second), tie.margin,
                  std::nextafter(static_cast<float>(tie.exact[tie.first]), 100.0f) -
                      static_cast<float>(tie.exact[tie.first])));
  choose_in_every_order(lesson, tie);
  lesson.figure("margin", tie.margin);
  lesson.figure("tie_bound", tie.judged.bound);
  screen.say(
      fmt::format("The rule: a word may differ only if double precision has no clear winner, that is, if its "
                  "margin is below twice the bound. (Each of the two logits may be off by the bound, {:.1e} "
                  "for this text.)",
                  tie.judged.bound));
  return lesson.require(
      tie.margin < 2 * tie.judged.bound && tie.within,
      fmt::format("margin {:.1e} < 2 · {:.1e}, and all logits are within the bound: the {} other "
                  "choices are rounding",
                  tie.margin, tie.judged.bound, tie.flips));
}

void lesson_09(Lesson& lesson) {
  Screen& screen = lesson.screen();
  three_numbers(lesson);
  const auto model = lesson.model("fable-mha");
  const Tokens prompt = model->tokenizer().encode(Lesson::prompt_for(*model));
  auto cached = lesson.backend(), again = lesson.backend();
  TwinSession twin(model, std::move(cached), std::move(again),
                   {.record = lesson.record(), .cache = lesson.cache()});
  Compared run;
  const bool exact = two_backends(lesson, model, twin, prompt, run);
  const bool told_apart = rounding_or_bug(lesson, model, run, prompt.size());
  const bool tie = near_tie(lesson);
  lesson.found({.claim = 23,
                .verdict = Verdict::holds_if,
                .shown = exact && told_apart && tie,
                .measured = fmt::format(
                    "On naive the bits are equal in all {} steps. Elsewhere the difference is within the "
                    "measured bound, and a word may differ if double precision has no clear winner",
                    kSteps + 1),
                .condition = "every sum runs in the same order"});

  screen.section("What it costs");
  screen.say(
      "You can have equal bits if you fix the order of every sum, as naive does, but that is slow. Or you "
      "know the bound and compare with it. The tests of this project do both.");
  lesson.keep(twin.cached());
  lesson.try_this(
      {"Set kTie to “the quick brown fox”. How large is the margin, compared with the bound?",
       "Add “repeat-kv” to the list of bugs and run with --model fable-gqa. It changes no number. How "
       "could you find it? (Lesson 8.)",
       "Run with --backend naive. What does the histogram show now?"},
      "lesson 11, find the bug.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(
      argc, argv,
      {9, "numerics: equal, or nearly?", "Two sums of the same numbers differ. When is that a bug?",
       "it compares sums over the same keys, with a cache and without"},
      lesson_09);
}
