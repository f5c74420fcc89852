#include "viewer/view_model/describe/row_rule.h"

namespace lastrow::view {

namespace {

/// The beat that computes the rows of a part.
Beat made_at(Part part) {
  switch (part) {
    case Part::score:
      return Beat::score;
    case Part::weight:
      return Beat::softmax;
    case Part::output:
      return Beat::sum;
    default:
      return Beat::project;
  }
}

constexpr float kFaded = 0.48f;   // dropped, but still readable in the last picture
constexpr float kWaiting = 0.6f;  // in the cache, but not read yet, or masked

bool is_kv(Part part) { return part == Part::k || part == Part::v; }

}  // namespace

State row_state(const RowRule& row, Beat beat) {
  const bool past = !row.fed;
  if (row.side == Mode::cached) {
    if (is_kv(row.part) && (!row.stored || (row.evicted && reached(beat, Beat::keep))))
      return State::not_stored;
    if (past) return is_kv(row.part) ? State::from_cache : State::absent;
    return reached(beat, made_at(row.part)) ? State::computed_now : State::not_yet;
  }
  // Without a cache every step feeds every row; all rows before the last one are computed again.
  const bool again = !row.prefill && !row.last_row;
  if (!reached(beat, made_at(row.part)))
    return again && made_at(row.part) == Beat::project ? State::absent : State::not_yet;
  if (!again) return State::computed_now;
  return row.needed ? State::again_needed : State::again_unused;
}

float row_opacity(const RowRule& row, Beat beat) {
  const bool kept = row.side == Mode::cached && is_kv(row.part);
  if (beat == Beat::keep && !kept && row_state(row, beat) != State::absent) return kFaded;
  if (kept && !row.fed && (!row.seen || !reached(beat, Beat::append))) return kWaiting;
  return 1;
}

}  // namespace lastrow::view
