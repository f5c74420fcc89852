// A poke as the session takes it, and its effect in numbers.
#pragma once

#include <string>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/commands.h"

namespace lastrow::view {

/// What all pokes together changed on one side.
struct PokeEffect {
  bool identical = true;     // the logits have the same bits
  double logit_change = 0;   // largest
  double output_change = 0;  // largest, in the output of the row that decides, for the shown layer and head
  int token_before = 0, token_after = 0;
};
PokeEffect poke_effect(const Snapshot& snapshot, Mode side, const Selection& at);

/// The poke of a row of the layer and head that are shown.
Poke to_poke(const PokeRow& row, const Snapshot& snapshot, const Selection& at);
Part poked_part(const Poke& poke);
/// "k[3]"
std::string poked_row_name(const Poke& poke);
/// Whether both change the same row; how and when they change it may differ.
bool same_row(const Poke& a, const Poke& b);
/// Whether both change the same row in one step: then the later one replaces the earlier one. A poke of `now`
/// belongs to its step, so one row can have a poke of `now` in each of several steps.
bool same_row_and_step(const Poke& a, const Poke& b);
/// Whether the poke changes a step with n_tokens tokens: `now` only in its own step, `since` from the step on
/// that computes the row.
bool is_in_force(const Poke& poke, int step, int n_tokens);

}  // namespace lastrow::view
