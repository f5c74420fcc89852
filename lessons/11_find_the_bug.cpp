// Lesson 11: what does a bug in a K/V cache look like from outside?
//
// Fifteen bugs that real programs had, each built into an otherwise healthy run. You see where a faulty run
// first differs from a healthy one (step, layer, operation), how many keys attention read there, by which
// position its keys are rotated, and how much memory the cache takes. From that you can name the bug.
//
// You will see   the evidence of fifteen cases, A to O, in random order; your answers graded
// Before this    lessons 3, 4 and 8; lesson 9 shows how small rounding errors are: every difference here is
//                larger
// Open           src/trace/named_faults.cpp (afterwards), src/trace/faults.h, src/cache/step_plan.h
//
//   lessons/run 11                              shows the cases; on a terminal it asks for answers
//   lessons/run 11 A=scale-twice C=repeat-kv    grades the answers; exit status 1 if one is wrong
//   lessons/run 11 reveal                       shows the solutions
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <iostream>

#include "core/error.h"
#include "core/random.h"
#include "lessons/support/evidence.h"
#include "lessons/support/lesson.h"
#include "lessons/support/serving_runs.h"
#include "trace/named_faults.h"

using namespace lastrow;
using namespace lastrow::lessons;

namespace {

constexpr int kSteps = 3;  // prefill and two decode steps

struct Case {
  char letter;
  const Fault* fault;
  Evidence evidence;
};

std::string first_conversation(const Model& model) {
  return model.tokenizer().is_numbered() ? "t7 t8 t9" : "the brown dog";
}

/// One conversation, a reset, and a second conversation, which is recorded.
/// `forced`: the tokens of its steps.
void converse(DecodeSession& session, std::span<const int32_t> forced) {
  const Model& model = session.model();
  session.start(model.tokenizer().encode(first_conversation(model)));
  session.advance();
  session.start(model.tokenizer().encode(Lesson::prompt_for(model)));
  session.advance();
  for (int step = 1; step < kSteps; ++step)
    session.advance(forced.empty() ? -1 : forced[static_cast<size_t>(session.n_tokens_at(step - 1))]);
}

/// Does this bug need chunks or several texts?
bool is_of_serving(const Fault& fault) { return !fault.needs.empty(); }

/// Can this bug change anything on this model? This lesson has no window, no cache that forgets, and no int8-channel.
bool can_show(const Fault& fault, const ModelConfig& config) {
  return fault.needs != "window" && fault.needs != "forgetting" && fault.needs != "new-positions" &&
         fault.needs != "int8-channel" && (fault.name != "repeat-kv" || config.group_size() > 1) &&
         ((fault.name != "early-length" && fault.name != "block-alone-key") || config.n_layers > 1);
}

/// The faults that can show on this model, shuffled with a fixed seed. Those of serving come last.
std::vector<const Fault*> shuffled_faults(const ModelConfig& config) {
  std::vector<const Fault*> order;
  for (const Fault& fault : faults())
    if (can_show(fault, config)) order.push_back(&fault);
  Random random(11);
  for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  std::stable_partition(order.begin(), order.end(),
                        [](const Fault* fault) { return !is_of_serving(*fault); });
  return order;
}

std::vector<Case> make_cases(Lesson& lesson, const std::shared_ptr<const Model>& model,
                             const DecodeSession& healthy) {
  const RecordedRun healthy_chunks = run_for("chunks", model, lesson.backend()),
                    healthy_batch = run_for("batch", model, lesson.backend());
  std::vector<Case> cases;
  for (const Fault* fault : shuffled_faults(model->config())) {
    auto backend = with_fault(std::string(fault->name), lesson.backend(), model->config().group_size());
    const auto letter = static_cast<char>('A' + cases.size());
    if (is_of_serving(*fault)) {
      const RecordedRun faulty = run_for(fault->needs, model, std::move(backend));
      const RecordedRun& right = fault->needs == "chunks" ? healthy_chunks : healthy_batch;
      cases.push_back({letter, fault, compare(right.recorder(), faulty.recorder(), model->config())});
    } else {
      DecodeSession faulty(model, std::move(backend), {.record = everything()});
      converse(faulty, healthy.tokens());
      cases.push_back({letter, fault, compare(healthy, faulty)});
    }
  }
  return cases;
}

void show_conversations(Screen& screen, const std::vector<Case>& cases) {
  std::vector<std::vector<std::string>> rows;
  for (const Case& c : cases)
    if (!is_of_serving(*c.fault)) rows.push_back(c.evidence.row(std::string(1, c.letter)));
  screen.table(Evidence::head(), rows);
  screen.say(
      "first difference: the first operation whose output has other bits than the healthy run. row: the "
      "position of its first row that differs. keys: how many keys attention read there. angle of: RoPE "
      "rotated that row by the angle of this position. k[0] score: the score of the first key with the last "
      "query in head 0 (none: masked). In brackets: the healthy run.");
}

/// "2 (6)": what the faulty run has, and in brackets the healthy run if it differs.
std::string beside(int64_t actual, int64_t healthy) {
  return actual == healthy ? fmt::format("{}", actual) : fmt::format("{} ({})", actual, healthy);
}

void show_serving(Screen& screen, const std::vector<Case>& cases, const Model& model) {
  screen.say(fmt::format(
      "More bugs need chunks or several texts. “chunks”: text 1 is fed in chunks of 5. “batch”: step 0 feeds "
      "text 1; in step 1 it decodes, and texts 2 and 3 join, on a cache with blocks of 4 that shares "
      "prefixes. 1: “{}”, 2: “{}”, 3: “{}”.",
      serving_text(model, 1), serving_text(model, 2), serving_text(model, 3)));
  std::vector<std::vector<std::string>> rows;
  for (const Case& c : cases) {
    if (!is_of_serving(*c.fault)) continue;
    const Evidence& e = c.evidence;
    rows.push_back({std::string(1, c.letter), c.fault->needs == "chunks" ? "chunks" : "batch",
                    e.first ? e.first->place() : "nothing", fmt::format("{}", e.sequence + 1),
                    fmt::format("{}", e.position), beside(e.keys_seen, e.keys_seen_expected),
                    e.turned_as ? beside(*e.turned_as, e.position) : ""});
  }
  screen.table({"", "run", "first difference", "text", "row", "keys seen", "angle of"}, rows);
  screen.say("keys seen: how many keys the last query of that text sees there.");
}

void list_bugs(Screen& screen, const ModelConfig& config) {
  screen.say("The bugs and their names:");
  for (const Fault& fault : faults()) {
    if (!can_show(fault, config)) continue;
    screen.line(std::string(fault.name), Ink::accent);
    screen.entry("", fault.bug);
  }
}

/// The name of a bug as the lesson spells it. `text` may have capitals, _ for - and spaces around it. "" if
/// there is no such bug.
std::string bug_named(std::string_view text) {
  const size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  std::string name(first == text.npos ? "" : text.substr(first, last - first + 1));
  for (char& c : name) c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto is_it = [&](const Fault& f) { return f.name == name; };
  return std::any_of(faults().begin(), faults().end(), is_it) ? name : "";
}

/// "A=scale-twice" → the case and the name. Throws UsageError for anything else.
std::pair<const Case*, std::string> read_answer(const std::string& answer, const std::vector<Case>& cases) {
  const std::string name = answer.size() > 2 && answer[1] == '=' ? answer.substr(2) : "";
  const auto letter =
      static_cast<char>(name.empty() ? '?' : std::toupper(static_cast<unsigned char>(answer[0])));
  const auto found =
      std::find_if(cases.begin(), cases.end(), [&](const Case& c) { return c.letter == letter; });
  if (found == cases.end())
    throw UsageError("'{}' is not an answer: write a case from A to {} and a bug, for example A=scale-twice",
                     answer, cases.back().letter);
  if (bug_named(name).empty())
    throw UsageError("there is no bug '{}': run the lesson without answers to see the names", name);
  return {&*found, bug_named(name)};
}

using Answers = std::vector<std::pair<const Case*, std::string>>;

/// Throws UsageError if a case is answered twice.
Answers read_answers(const std::vector<std::string>& given, const std::vector<Case>& cases) {
  Answers answers;
  for (const std::string& answer : given) {
    const auto next = read_answer(answer, cases);
    for (const auto& [c, name] : answers)
      if (c == next.first) throw UsageError("case {} is answered twice: give one answer per case", c->letter);
    answers.push_back(next);
  }
  return answers;
}

void grade(Lesson& lesson, const Case& c, const std::string& name) {
  lesson.require(c.fault->name == name,
                 c.fault->name == name ? fmt::format("{} is {}: {}", c.letter, name, c.fault->bug)
                                       : fmt::format("{} is not {}: look at its row again", c.letter, name));
}

/// On a terminal: one question per case. An empty line ends the questions.
void ask(Lesson& lesson, const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    lesson.screen().prompt(fmt::format("Which bug is {}? (type its name, or Enter to stop) ", c.letter));
    std::string name;
    if (!std::getline(std::cin, name) || name.empty()) return;
    if (bug_named(name).empty())
      lesson.screen().line("There is no bug with this name. The names are listed above.");
    else
      grade(lesson, c, bug_named(name));
  }
}

void lesson_11(Lesson& lesson) {
  Screen& screen = lesson.screen();
  if (!lesson.options().fault.empty())
    throw UsageError("lesson 11 builds in all the bugs itself: run it without --fault");
  const auto model = lesson.model_with_rope("fable-gqa");
  DecodeSession healthy(model, lesson.backend(), {.record = everything()});
  converse(healthy, {});
  const std::vector<Case> cases = make_cases(lesson, model, healthy);

  const bool reveal = lesson.options().answers == std::vector<std::string>{"reveal"};
  const Answers answers = reveal ? Answers{} : read_answers(lesson.options().answers, cases);

  screen.say(fmt::format(
      "{} runs on “{}”, after another conversation and a reset: once healthy, and once with each of {} bugs. "
      "All runs get the same tokens. Step 0 is the prefill. Where does each run first differ?",
      model->config().name, Lesson::prompt_for(*model),
      std::ranges::count_if(cases, [](const Case& c) { return !is_of_serving(*c.fault); })));
  list_bugs(screen, model->config());
  screen.section("The cases");
  show_conversations(screen, cases);
  screen.section("The cases with chunks and several texts");
  show_serving(screen, cases, *model);

  int n_located = 0;
  for (const Case& c : cases) {
    const bool located = (c.evidence.first ? c.evidence.first->place() : "") == c.fault->first;
    n_located += located ? 1 : 0;
    if (reveal) lesson.figure("case_" + std::string(c.fault->name), c.letter - 'A');
  }
  lesson.figure("located", n_located);
  lesson.require(n_located == static_cast<int>(cases.size()),
                 fmt::format("{} of {} bugs first show at the place that their cause predicts", n_located,
                             cases.size()));

  for (const auto& [c, name] : answers) grade(lesson, *c, name);
  if (reveal)
    for (const Case& c : cases) screen.entry(fmt::format("{}", c.letter), c.fault->name);
  if (answers.empty() && !reveal && !lesson.options().json && ::isatty(STDIN_FILENO) == 1) ask(lesson, cases);
  lesson.keep(healthy);
  lesson.try_this(
      {"Answer with lessons/run 11 A=… B=… (lessons/run 11 reveal shows the solutions).",
       "In the first table, two pairs of bugs first show at the same operation, with the same number of "
       "keys. Which column tells the bugs of both pairs apart?",
       "One bug of the second table changes no number in layer 0. Why not?",
       "On fable-gqa one bug changes no number at all. Who would notice it, and when?",
       "Run lessons/run 3 --fault stale-rows. Which line fails first?"},
      "lesson 10, GPU kernels.");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(
      argc, argv,
      {11, "find the bug", "Fifteen runs have a bug. Where does each first go wrong, and which bug is it?",
       "its fifteen cases bring the caches that they need", "CASE=BUG, for example A=scale-twice; or reveal"},
      lesson_11);
}
