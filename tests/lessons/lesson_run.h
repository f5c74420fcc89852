// Runs a built lesson as a student does, and reads its JSON.
//
//   const LessonRun run = run_lesson("lesson_03_recompute_or_cache");
//   CHECK(run.status == 0);   run.figure("kv_rows")   run.verdict(5)   run.report["findings"]
//   check_lesson("lesson_03_recompute_or_cache");                     every check must pass
//   check_objects("lesson_03_recompute_or_cache", "stale-rows");      with this fault a check must fail
#pragma once

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "support/program.h"

namespace lastrow::testing {

struct LessonRun {
  int status;
  nlohmann::json report;
  std::string err;

  double figure(const std::string& name) const {
    const auto& figures = report.at("figures");
    REQUIRE_MESSAGE(figures.contains(name), "no figure ", name, " among ", figures.dump());
    return figures.at(name).get<double>();
  }
  /// "holds", "holds if" or "wrong", and only if this run showed it.
  std::string verdict(int claim) const {
    for (const auto& finding : report.at("findings"))
      if (finding.at("claim") == claim)
        return finding.at("shown") ? finding.at("verdict").get<std::string>() : "not shown";
    return "no finding";
  }
  /// What this run measured for the claim; "" if it has no finding.
  std::string measured(int claim) const {
    for (const auto& finding : report.at("findings"))
      if (finding.at("claim") == claim) return finding.at("measured").get<std::string>();
    return "";
  }
  /// What did not hold, one per line.
  std::string objections() const {
    std::string all;
    for (const auto& r : report.at("requirements"))
      if (!r.at("passed")) all += r.at("what").get<std::string>() + "\n";
    for (const auto& f : report.at("findings"))
      if (!f.at("shown")) all += "claim " + f.at("claim").dump() + ": " + f.at("measured").dump() + "\n";
    return all;
  }
};

inline const std::string kLessons = LASTROW_BIN_DIR "/";

inline LessonRun run_lesson(const std::string& program, const std::string& options = "") {
  const Folder folder(program);
  const Outcome o = shell(folder, kLessons + program + " --json " + options);
  CAPTURE(o.err);
  CAPTURE(o.out);
  REQUIRE((o.exit_code == 0 || o.exit_code == 1));
  return {o.exit_code, nlohmann::json::parse(o.out), o.err};
}

/// Runs the lesson and checks that it passes.
inline LessonRun check_lesson(const std::string& program, const std::string& options = "") {
  LessonRun run = run_lesson(program, options);
  CHECK_MESSAGE(run.status == 0, run.objections());
  CHECK(run.report.at("passed") == true);
  return run;
}

/// Checks that the lesson fails with this fault in the backend.
inline void check_objects(const std::string& program, const std::string& fault) {
  CAPTURE(fault);
  const LessonRun run = run_lesson(program, "--fault " + fault);
  CHECK(run.status == 1);
  CHECK(!run.objections().empty());
}

}  // namespace lastrow::testing
