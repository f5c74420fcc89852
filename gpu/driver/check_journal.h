// What a check has found so far, in memory and in a file. A new process can continue from the file.
//
//   CheckJournal journal("check.jsonl", {.name = "quick", .n_problems = 700});   reads what is there
//   if (!journal.knows(rung, i) && journal.ended_by(rung).empty()) {
//     journal.begin(rung, i, "bf16, heads 8:2, …");                  before the device is used
//     journal.end({rung, type, i, share, failure});                  after it answered
//   }
//   const CheckReport report = make_report(journal);                   check.h
//
// When begin() or end() returns, its line is in the file; without a name there is no file. So a rung that
// hangs, or that ends the process, is known afterwards: it is the one that began and never ended. It is not
// run again.
//
// * Not for several threads at once.
// * Never call begin() where rungs run side by side: it would not be known which of them ended the process.
//
// The file holds one JSON object per line. The first is {"set", "n_problems"}. Then follow {"begin",
// "problem", "text"} and {"rung", "type", "problem", "share", "failure"}, or {"gave_up", "text"} if a rung
// broke the device.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cache/kv_codec.h"

namespace lastrow::driver {

/// The result of one rung on one problem.
struct CheckOutcome {
  std::string rung;
  KvDtypes types{};     // of K and V
  int64_t problem = 0;  // its number in the set
  double share = 0;     // error / bound; ∞ if there is no answer
  std::string failure;  // empty: held
};

/// The problems that a file belongs to.
struct CheckedSet {
  std::string name;  // set, part of it, and device: "quick, every 8, on NVIDIA H100 80GB HBM3"
  int64_t n_problems = 0;
};

class CheckJournal {
 public:
  /// Throws FileError if the file cannot be read or written, or holds the check of another set.
  CheckJournal(const std::string& path, const CheckedSet& set);
  /// Reads what an earlier process left in a file, and does not write to it.
  explicit CheckJournal(const std::string& path);
  ~CheckJournal();
  CheckJournal(const CheckJournal&) = delete;
  CheckJournal& operator=(const CheckJournal&) = delete;

  bool knows(const std::string& rung, int64_t problem) const { return known_.contains({rung, problem}); }
  /// The problem that a process ended at while it ran this rung; empty if none did.
  std::string ended_by(const std::string& rung) const;

  void begin(const std::string& rung, int64_t problem, const std::string& text);
  void end(const CheckOutcome& outcome);
  /// The rung has broken the device. This counts as if the process had ended.
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
