// The ledger runs every lesson once and prints a row for each claim that a lesson tested.
#include <regex>
#include <set>
#include <sstream>

#include "lessons/lesson_run.h"
#include "lessons/support/claims.h"
#include "lessons/support/measure.h"
#include "lessons/support/screen.h"

using namespace lastrow::testing;
using namespace lastrow::lessons;

namespace {
const std::string kLedger = "lesson_00_ledger";
}

TEST_CASE("the ledger has a verdict, a number and a lesson for claims 1 to 16 and 22 to 28") {
  const Folder folder("ledger");
  const Outcome o = shell(folder, kLessons + kLedger);
  CHECK_MESSAGE(o.exit_code == 0, o.out);
  std::set<int> found;
  std::istringstream lines(o.out);
  const std::regex row("([ 0-9][0-9])  .+");
  int n_lessons_named = 0;
  for (std::string line; std::getline(lines, line);) {
    CHECK_MESSAGE(columns_of(line) <= 80, line);
    std::smatch match;
    if (line.starts_with("Not tested in this run") || line.starts_with("No lesson tests")) break;
    if (std::regex_match(line, match, row)) found.insert(std::stoi(match[1]));
    if (std::regex_search(line, std::regex("lesson\u00a0[0-9]+\\)"))) ++n_lessons_named;
  }
  CHECK(n_lessons_named >= (kFastBuild ? 23 : 22));
  for (const char* elsewhere : {"lastrow eval --all", "lesson 8, “Memory", "--share-prefix",
                                "--cache window:w=64", "--cache budget:rows=64"}) {
    CAPTURE(elsewhere);
    CHECK(o.out.find(elsewhere, o.out.find("No lesson tests these")) != std::string::npos);
  }
  for (const CommonClaim& claim : common_claims()) {
    CAPTURE(claim.number);
    const bool no_lesson = claim.number >= 17 && claim.number <= 21, needs_speed = claim.number == 10;
    CHECK(found.contains(claim.number) == !(no_lesson || (needs_speed && !kFastBuild)));
  }
}

TEST_CASE("the ledger says why a claim was not tested, on the screen and as JSON") {
  const Folder folder("ledger_untested");
  const std::string alone = (folder / "bin").string(), one_layer = " --model random:layers=1";
  std::filesystem::create_directories(alone);
  for (const char* program : {"lesson_00_ledger", "lesson_02_the_causal_mask"})
    std::filesystem::copy_file(kLessons + program, alone + "/" + program);
  const Outcome told = shell(folder, alone + "/" + kLedger + one_layer);
  CHECK(told.exit_code == 0);
  CHECK(told.out.find("the model has one layer") != std::string::npos);
  const auto report = nlohmann::json::parse(shell(folder, alone + "/" + kLedger + one_layer + " --json").out);
  REQUIRE(report.at("untested").size() == 2);
  CHECK(report.at("untested")[0].at("claim") == 2);
  CHECK(report.at("untested")[1].at("claim") == 28);
}

TEST_CASE("a lesson that fails or cannot run makes the ledger fail") {
  const Folder folder("ledger_fault");
  // A ledger with lesson 1 alone: if lesson 1 fails because of the fault, the ledger fails too and names the lesson.
  const std::string alone = (folder / "bin").string();
  std::filesystem::create_directories(alone);
  std::filesystem::copy_file(kLessons + kLedger, alone + "/" + kLedger);
  std::filesystem::copy_file(kLessons + "lesson_01_attention_by_hand",
                             alone + "/lesson_01_attention_by_hand");
  CHECK(shell(folder, alone + "/" + kLedger).exit_code == 0);
  const Outcome faulty = shell(folder, alone + "/" + kLedger + " --fault scale-twice");
  CHECK(faulty.exit_code == 1);
  CHECK(faulty.out.find("lesson 1: ") != std::string::npos);
  std::ofstream(alone + "/lesson_02_broken") << "#!/bin/sh\nexit 3\n";
  std::filesystem::permissions(alone + "/lesson_02_broken", std::filesystem::perms::owner_all);
  const Outcome broken = shell(folder, alone + "/" + kLedger);
  CHECK(broken.exit_code == 1);
  CHECK(broken.out.find("lesson 2 could not run") != std::string::npos);
  std::filesystem::rename(alone + "/lesson_02_broken", alone + "/lesson_01_old");
  const Outcome twice = shell(folder, alone + "/" + kLedger);
  CHECK(twice.exit_code == 2);
  CHECK(twice.err.find("are both lesson 1") != std::string::npos);
}
