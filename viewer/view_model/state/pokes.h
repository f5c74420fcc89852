// The list of pokes, and what they changed together in the last row of the step that is shown.
//
//   view.pokes.button          "2 pokes"; empty: nothing was poked yet, so there is no button
//   view.pokes.entries         all pokes, the oldest first, with those that are not active in this step
//   view.pokes.comparison      before → after; empty while no poke is active in this step
//
// Every number is from the run: "before" is the same step without pokes. All texts are ready to draw.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "viewer/view_model/state/commands.h"

namespace lastrow::view {

struct PokeEntry {
  int number = 1;     // in the list, from 1
  std::string what;   // "k[3] “fox” scrambled"
  std::string where;  // "layer 3 · K/V head 0"
  std::string when;   // "since its own step" or "now: in decode 4 only"
  std::string text;   // all three: "k[3] “fox” scrambled · layer 3 · K/V head 0 · since its own step"
  bool in_force = true;  // in the step that is shown
  std::string why_not;   // "not active here: it belongs to decode 4"; empty if active
  ShowPoke show{};       // goes to its layer, head and step
  RemovePoke remove{};
};

/// One key of the last row.
struct KeyChange {
  int position = 0;
  std::string token;
  float score_before = 0, score_after = 0, weight_before = 0, weight_after = 0;
  std::string score_text, weight_text;  // "2.31 → −1.20"
};

struct TokenChange {
  int id = 0;
  std::string text;
  int rank_before = 1, rank_after = 1;  // from 1, over the whole vocabulary
  float logit_before = 0, logit_after = 0;
  std::string rank_text;   // "8 → 1"; "2" where it has not changed
  std::string logit_text;  // "8.73 → 9.07"
};

struct SideComparison {
  std::string side;             // "both sides", "with cache", "without cache"
  bool identical = true;        // the logits have the same bits
  std::string next_text;        // "next token “cat” → “dog”", "next token still “cat”"
  std::string logits_text;      // "logits changed by at most 10", "logits bit-identical"
  std::vector<KeyChange> keys;  // up to five, the largest change of weight first
  std::string more_keys;        // "and 3 more: weights changed by at most 0.01", or that none has changed
  std::string output_text;      // "output: most at element 7, 0.3 → 1.9", "output unchanged"
  std::vector<float> output_before, output_after;  // [head_dim]
  float output_scale = 1;                          // largest magnitude of both, for bars
  std::vector<TokenChange> tokens;  // the top five of before and of after, in the order of after
};

struct PokeComparison {
  std::string title;                  // "last row (“lazy”) · layer 3 (last) · head 0"
  std::vector<SideComparison> sides;  // one if both sides say the same, otherwise two
};

struct PokeList {
  bool open = false;
  std::string button;
  std::vector<PokeEntry> entries;
  std::string undo_text, redo_text;  // "Undo: poke of k[3]"; empty: nothing to undo or redo
  std::optional<PokeComparison> comparison;
  std::string hint;  // in place of the comparison: why there is none
};

}  // namespace lastrow::view
