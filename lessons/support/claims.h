// Common claims about the K/V cache, numbered, and what a lesson found when it tested one.
//
//   lesson.found({.claim = 1, .verdict = Verdict::holds, …});   a lesson reports what it found (lesson.h)
//   claim_text(1)                                               the claim in words
//
// The numbers are those of the ledger (lesson 0). This table holds no verdicts: a lesson measures again in
// every run, and its verdict comes from that.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lastrow::lessons {

enum class Verdict { holds, holds_if, wrong };
std::string_view name_of(Verdict verdict);  // "holds", "holds if", "wrong"

/// A claim as people commonly state it, in one line.
struct CommonClaim {
  int number;
  std::string_view text;
  std::string_view elsewhere = "";  // if no lesson tests it: what does
};
/// In ascending order of the numbers.
std::span<const CommonClaim> common_claims();
/// Throws UsageError if no claim has this number.
std::string_view claim_text(int number);

/// What a lesson found.
struct Finding {
  int claim;
  Verdict verdict;
  bool shown;                  // do the measurements of this run support the verdict?
  std::string measured;        // the number, in words: "25 of 25 rows bit-identical"
  std::string condition = "";  // after "holds if": the condition; after "wrong": what is true instead
};

/// "holds", "holds if <condition>" or "wrong: <condition>"
std::string verdict_text(const Finding& finding);

}  // namespace lastrow::lessons
