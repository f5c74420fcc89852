// The top bar: the steps run so far, the four parts of a step with their beats, and where we are.
#pragma once

#include <string>
#include <vector>

#include "viewer/view_model/state/beat.h"

namespace lastrow::view {

struct ScrubTick {
  int step = 0;       // 0 is prefill
  std::string label;  // "prefill", "1", "2", …
  std::string token;  // the text that the step reads: "the quick brown fox", "jumps"
  int n_tokens = 1;   // that the step reads; prefill is one wide tick
};

struct BeatChip {
  int part = 0;      // 1 … 4
  std::string sign;  // "①"
  std::string name;  // "project", "append", "attend", "next"
  Beat first, last;  // its beats; a click sends GoToBeat{last}
  bool current = false, done = false;
  std::vector<BeatInfo> beats;  // more than one for ③ and ④
  std::string label() const { return sign + " " + name; }
};

struct Transport {
  int step = 0;
  int last_step = 0;  // the last step run so far
  bool at_first = false, context_full = false;
  bool playing = false;
  double speed = 1;
  bool reduced_motion = false;
  Beat beat = Beat::keep;
  std::vector<ScrubTick> ticks;  // steps 0 … last_step
  std::vector<BeatChip> chips;   // four
  std::string banner;            // "Decode 4 · position 7 · 8 keys"
};

}  // namespace lastrow::view
