// The claims about the K/V cache that the lessons put to the test, by their numbers, and what came of each.
//
// Numbers are those of the ledger that lesson_00_ledger prints. A lesson says what it measured; whether the
// claim was shown follows from that, never from this table.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lastrow::lessons {

enum class Verdict { holds, holds_if, wrong };
std::string_view name_of(Verdict verdict);  // "holds", "holds if", "wrong"

/// As it is commonly told, in one line.
struct CommonClaim {
  int number;
  std::string_view text;
};
/// In ascending order of their numbers.
std::span<const CommonClaim> common_claims();
/// Throws UsageError for a number that is no claim's.
std::string_view claim_text(int number);

/// What a lesson found.
struct Finding {
  int claim;
  Verdict verdict;
  bool shown;                  // does what was measured in this run establish the verdict?
  std::string measured;        // the number, in words: "25 of 25 rows bit-identical"
  std::string condition = "";  // holds if …; or what is right instead, where it is wrong
};

}  // namespace lastrow::lessons
