// Lesson 0: which common claims about the K/V cache are true?
//
// Runs all other lessons and prints the ledger: each claim as people commonly state it, the verdict, the
// number that was measured in this run, and the lesson that measured it.
//
// You will see   a row for each claim that a lesson tested, and then the claims that no lesson tested
// Before this    nothing; it is the table of contents, and at the end the summary
// Open           lessons/support/claims.h; then the lesson that a row names
//
// All lessons get --model, --backend and --fault; lesson 1 gets --trace. If a lesson fails or cannot run, the
// ledger fails. A new lesson needs no change here.
#include <algorithm>
#include <map>
#include <regex>

#include "core/error.h"
#include "lessons/support/lesson.h"
#include "lessons/support/program.h"

using namespace lastrow;
using namespace lastrow::lessons;

namespace {

constexpr int kTracedLesson = 1, kOwnFaults = 11;  // lesson 11 builds in all the faults itself
constexpr int kSeconds = 600;                      // limit for one lesson; most take a few seconds

struct LessonProgram {
  int number;
  std::filesystem::path path;
};

/// The lessons in the folder of this program, in order.
std::vector<LessonProgram> lesson_programs() {
  std::vector<LessonProgram> programs;
  const std::regex name("lesson_([0-9][0-9])_[a-z0-9_]+");
  for (const auto& entry : std::filesystem::directory_iterator(folder_of_this_program())) {
    std::smatch match;
    const std::string file = entry.path().filename().string();
    if (std::regex_match(file, match, name) && match[1] != "00")
      programs.push_back({std::stoi(match[1]), entry.path()});
  }
  std::sort(programs.begin(), programs.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  for (size_t i = 1; i < programs.size(); ++i)
    if (programs[i].number == programs[i - 1].number)
      throw UsageError("{} and {} are both lesson {}: remove the old one", programs[i - 1].path.string(),
                       programs[i].path.string(), programs[i].number);
  if (programs.empty())
    throw UsageError("there is no lesson in {}: build them with `ninja lessons`",
                     folder_of_this_program().string());
  return programs;
}

/// `trace`: the file that lesson 1 writes; "": none.
std::vector<std::string> arguments_for(const Lesson::Options& options, int number,
                                       const std::filesystem::path& trace) {
  std::vector<std::string> arguments = {"--json"};
  const auto hand_on = [&](const char* flag, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {flag, value});
  };
  hand_on("--model", options.model);
  hand_on("--backend", options.backend);
  hand_on("--cache", options.cache);
  hand_on("--kv-dtype", options.kv_dtype);
  hand_on("--fault", options.fault);
  if (number == kTracedLesson) hand_on("--trace", trace.string());
  return arguments;
}

Verdict verdict_named(const std::string& name) {
  for (const Verdict v : {Verdict::holds, Verdict::holds_if, Verdict::wrong})
    if (name == name_of(v)) return v;
  throw FileError("a lesson reported the unknown verdict '{}': build all lessons again", name);
}

struct Row {
  int lesson;
  Finding finding;
};

/// The findings of one or more lessons, and for each claim that they could not test: why not.
struct Outcome {
  std::vector<Row> rows;
  std::map<int, std::string> untested{};
};

/// Runs one lesson. What does not hold there does not hold in the ledger either.
Outcome outcome_of(Lesson& ledger, const LessonProgram& program, const std::filesystem::path& trace) {
  const ProgramRun run =
      run_program(program.path, arguments_for(ledger.options(), program.number, trace), kSeconds);
  if (run.status != 0 && run.status != 1) {
    const std::string said = run.err.substr(0, run.err.find('\n'));
    ledger.require(false,
                   fmt::format("lesson {} could not run: {}", program.number,
                               said.empty() ? fmt::format("it ended with status {}", run.status) : said));
    return {};
  }
  const auto report = nlohmann::json::parse(run.out, nullptr, /*allow_exceptions=*/false);
  if (!report.is_object() || !report.contains("findings")) {
    ledger.require(false,
                   fmt::format("lesson {} printed no report: build the lessons again", program.number));
    return {};
  }
  for (const auto& requirement : report.at("requirements"))
    if (!requirement.at("passed"))
      ledger.require(false,
                     fmt::format("lesson {}: {}", program.number, requirement.at("what").get<std::string>()));
  Outcome outcome;
  for (const auto& f : report.at("findings"))
    outcome.rows.push_back({program.number,
                            {.claim = f.at("claim"),
                             .verdict = verdict_named(f.at("verdict")),
                             .shown = f.at("shown"),
                             .measured = f.at("measured"),
                             .condition = f.at("condition")}});
  for (const auto& u : report.at("untested"))
    outcome.untested[u.at("claim")] =
        fmt::format("{} (lesson\u00a0{})", u.at("why").get<std::string>(), program.number);
  ledger.figure(fmt::format("lesson_{:02}_seconds", program.number), report.at("seconds"));
  return outcome;
}

Ink ink_of(const Finding& f) {
  return !f.shown ? Ink::bad : f.verdict == Verdict::wrong ? Ink::accent : Ink::good;
}

void print_row(Screen& screen, const Row& row) {
  const Finding& f = row.finding;
  const std::string verdict = (f.shown ? "" : "NOT SHOWN in this run: ") + verdict_text(f);
  screen.entry(fmt::format("{:2}", f.claim), claim_text(f.claim), Ink::bold);
  screen.entry("", fmt::format("{}. {} (lesson\u00a0{})", verdict, f.measured, row.lesson), ink_of(f));
}

void ledger(Lesson& lesson) {
  Screen& screen = lesson.screen();
  screen.say("Each row: a common claim about the K/V cache; the verdict; what this run measured, and where.");
  Outcome all;
  std::vector<Row>& rows = all.rows;
  const auto programs = lesson_programs();
  const std::filesystem::path trace = lesson.trace_for_another_program();
  for (const LessonProgram& program : programs) {
    if (program.number == kOwnFaults && !lesson.options().fault.empty()) continue;
    screen.progress(fmt::format("running lesson {} of {} …", program.number, programs.back().number));
    Outcome of_one = outcome_of(lesson, program, trace);
    rows.insert(rows.end(), of_one.rows.begin(), of_one.rows.end());
    all.untested.merge(of_one.untested);
  }
  screen.progress("");
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.finding.claim < b.finding.claim; });

  screen.section("The ledger");
  std::vector<CommonClaim> missing;
  int n_claims = 0;
  for (const CommonClaim& claim : common_claims()) {
    const auto is_of_claim = [&](const Row& row) { return row.finding.claim == claim.number; };
    if (std::none_of(rows.begin(), rows.end(), is_of_claim))
      missing.push_back(claim);
    else
      ++n_claims;
    for (const Row& row : rows)
      if (is_of_claim(row)) {
        print_row(screen, row);
        lesson.remember(row.finding);
      }
  }
  lesson.figure("claims", n_claims);
  lesson.figure("lessons", static_cast<double>(programs.size()));
  const auto is_untested = [&](const CommonClaim& claim) { return all.untested.contains(claim.number); };
  const auto others = std::stable_partition(missing.begin(), missing.end(), is_untested);
  if (others != missing.begin()) screen.say("Not tested in this run:");
  for (auto claim = missing.begin(); claim != others; ++claim) {
    screen.entry(fmt::format("{:2}", claim->number), claim->text, Ink::dim);
    screen.entry("", all.untested.at(claim->number), Ink::dim);
    lesson.remember_untested(claim->number, all.untested.at(claim->number));
  }
  if (others != missing.end()) screen.say("No lesson tests these. You can look yourself:");
  for (auto claim = others; claim != missing.end(); ++claim) {
    screen.entry(fmt::format("{:2}", claim->number), claim->text, Ink::dim);
    if (!claim->elsewhere.empty()) screen.entry("", claim->elsewhere, Ink::dim);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(argc, argv,
                    {0, "the ledger of claims", "Which common claims about the K/V cache are true?",
                     "it runs the other lessons, and most of them need all rows"},
                    ledger);
}
