// The beats of one step, in order. A script goes to one with `sub`.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace lastrow::view {

enum class Beat : uint8_t { start, project, append, score, mask, softmax, sum, next, keep };
constexpr int kBeats = 9;

struct BeatInfo {
  Beat beat;
  const char* word;   // in scripts
  const char* label;  // on the screen
  int part;           // 0 before ①; 1 … 4 for ① ② ③ ④
  int duration_ms;    // at speed 1; 0 for start
};

inline constexpr std::array<BeatInfo, kBeats> kBeatTable{{{Beat::start, "start", "before the step", 0, 0},
                                                          {Beat::project, "project", "project", 1, 500},
                                                          {Beat::append, "append", "append", 2, 400},
                                                          {Beat::score, "score", "score", 3, 700},
                                                          {Beat::mask, "mask", "mask", 3, 300},
                                                          {Beat::softmax, "softmax", "softmax", 3, 500},
                                                          {Beat::sum, "sum", "sum", 3, 700},
                                                          {Beat::next, "next", "next token", 4, 500},
                                                          {Beat::keep, "keep", "keep / drop", 4, 600}}};

constexpr const BeatInfo& info(Beat beat) { return kBeatTable[static_cast<size_t>(beat)]; }
constexpr bool reached(Beat now, Beat beat) { return now >= beat; }
std::optional<Beat> beat_from_word(std::string_view word);

}  // namespace lastrow::view
