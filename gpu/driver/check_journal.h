// What a check has found so far, in memory and in a file, so that a new process can go on where one ended.
//
//   CheckJournal journal("check.jsonl", {.name = "quick", .n_problems = 700});   reads what is there
//   if (!journal.knows(rung, i) && journal.ended_by(rung).empty()) {
//     journal.begin(rung, i, "bf16, heads 8:2, …");                  before the device is asked
//     journal.end({rung, type, i, share, failure});                  after it answered
//   }
//   const CheckReport report = report_of(journal);                   check.h
//
// Each call of begin() and end() is in the file when it returns; without a name there is no file. So a rung
// that hangs or takes the process with it is known afterwards: it is the one that began and never ended. It
// is not run again.
//
// * Not for several threads at once.
// * Where rungs run side by side, never begin(): nobody could say which of them ended the process.
//
// The file holds one JSON object a line. {"set", "n_problems"} is the first; then {"begin", "problem", "text"}
// and {"rung", "type", "problem", "share", "failure"}, or {"gave_up", "text"} for a rung that broke the device.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/dtype.h"

namespace lastrow::driver {

/// Of one rung at one problem.
struct CheckOutcome {
  std::string rung;
  DType type{};         // of K and V
  int64_t problem = 0;  // its number in the set
  double share = 0;     // of the error in its bound; ∞ where there is no answer
  std::string failure;  // empty: held
};

/// What a file belongs to.
struct CheckedSet {
  std::string name;  // set, part of it, and device: "quick, every 8, on NVIDIA H100 80GB HBM3"
  int64_t n_problems = 0;
};

class CheckJournal {
 public:
  /// Throws FileError if the file cannot be read or written, or holds the check of another set.
  CheckJournal(const std::string& path, const CheckedSet& set);
  /// What an earlier process left in a file, to be looked at only.
  explicit CheckJournal(const std::string& path);
  ~CheckJournal();
  CheckJournal(const CheckJournal&) = delete;
  CheckJournal& operator=(const CheckJournal&) = delete;

  bool knows(const std::string& rung, int64_t problem) const { return known_.contains({rung, problem}); }
  /// Where a process ended while it ran this rung; empty if none did.
  std::string ended_by(const std::string& rung) const;

  void begin(const std::string& rung, int64_t problem, const std::string& text);
  void end(const CheckOutcome& outcome);
  /// The rung has broken the device: it is treated as if the process had ended.
  void give_up(const std::string& rung, const std::string& where);

  const std::vector<CheckOutcome>& outcomes() const { return outcomes_; }
  /// Rung → where it ended a process.
  const std::map<std::string, std::string>& ended() const { return ended_; }

 private:
  void read(const std::string& path, const CheckedSet* set);
  void write(const std::string& line);

  std::string path_;
  int fd_ = -1;
  bool was_cut_ = false;  // the file ends within a line
  std::vector<CheckOutcome> outcomes_;
  std::set<std::pair<std::string, int64_t>> known_;
  std::map<std::string, std::string> ended_;
};

}  // namespace lastrow::driver
