#include "viewer/view_model/describe/pane_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/view_model/describe/compare.h"
#include "viewer/view_model/describe/held_rows.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

constexpr float kUnusedOpacity = 0.4f;
constexpr float kFaintest = 0.3f;      // unused and dropped, but still there to look at
constexpr int64_t kRoundingUlp = 512;  // a larger difference does not come from rounding

float opacity(const RowRule& rule, State state, Beat beat) {
  const float faded = row_opacity(rule, beat);
  return state == State::again_unused ? std::max(kFaintest, faded * kUnusedOpacity) : faded;
}

}  // namespace

PaneRows::PaneRows(const PaneSource& source)
    : in_(source),
      before_(source.at.beat == Beat::start ? Beat::start
                                            : static_cast<Beat>(static_cast<int>(source.at.beat) - 1)) {
  if (source.side == Mode::recompute) needed_ = needed_rows(source.data, source.at.layer);
}

RowRule PaneRows::rule(Part part, int position) const {
  return {.side = in_.side,
          .part = part,
          .prefill = in_.step.prefill(),
          .fed = fed(position),
          .last_row = position == in_.n - 1,
          .needed = is_needed(part, position),
          .stored = index_of(in_.held.keys, position) >= 0,
          .evicted = was_evicted(in_.held, position),
          .seen = key_use(in_.data, in_.at.layer, in_.n - 1, position) == KeyUse::seen};
}

bool PaneRows::is_needed(Part part, int position) const {
  const std::vector<bool>& rows = part == Part::k || part == Part::v ? needed_.keys : needed_.outputs;
  return rows.empty() || rows[static_cast<size_t>(position)];
}

/// Whether the cache holds the row at the end of a beat, and at which index; −1: it does not.
int PaneRows::stored_index(const RowRule& rule, int position, Beat beat) const {
  if (in_.side == Mode::recompute || (rule.fed && !reached(beat, Beat::append))) return -1;
  return index_of(reached(beat, Beat::keep) ? in_.held.kept : in_.held.keys, position);
}

bool PaneRows::is_poked(Part part, int position) const {
  for (const Poke& poke : in_.step.pokes) {
    const int head = part == Part::q ? in_.at.head : in_.kv_head;
    if (poked_part(poke) == part && poke.layer == in_.at.layer && poke.position == position &&
        (poke.head < 0 || poke.head == head))
      return true;
  }
  return false;
}

Row PaneRows::row(Part part, int position, const float* values, int width) const {
  const RowRule r = rule(part, position);
  Row out;
  out.position = position;
  out.was = row_state(r, before_);
  out.is = row_state(r, in_.at.beat);
  out.opacity_was = opacity(r, out.was, before_);
  out.opacity = opacity(r, out.is, in_.at.beat);
  if (part == Part::k || part == Part::v) {
    out.index = stored_index(r, position, in_.at.beat);
    out.stored_was = stored_index(r, position, before_) >= 0;
    out.stored = out.index >= 0;
  }
  out.poked = is_poked(part, position);
  out.asked = in_.at.asked && in_.at.asked->part == part && in_.at.asked->row == position;
  if (values && part != Part::score && part != Part::weight)  // those look at each cell
    out.not_finite = !std::all_of(values, values + width, [](float x) { return std::isfinite(x); });
  return out;
}

const float* PaneRows::row_values(const SideData& s, Part part, int position) const {
  if (part == Part::q) return q_row(in_.setup, s, in_.at.layer, in_.at.head, position);
  return part == Part::k ? k_row(in_.setup, s, in_.at.layer, in_.kv_head, position)
                         : v_row(in_.setup, s, in_.at.layer, in_.kv_head, position);
}

void PaneRows::compare(Part part, const float* values, Row& row) const {
  if (!values || !in_.snapshot.previous || row.position >= in_.snapshot.previous->n_tokens) return;
  const float* old = row_values(in_.snapshot.previous->side(in_.side), part, row.position);
  if (!old) return;
  const int64_t ulp = row_distance_ulp(values, old, in_.config.head_dim);
  if (ulp == 0) {
    row.repeat = Repeat::same_bits;
    row.repeat_text = "same bits";
  } else if (ulp > 0 && ulp <= kRoundingUlp) {
    row.repeat = Repeat::rounding;
    row.repeat_text = fmt::format("≤ {} ULP", ulp);
  } else {
    row.repeat = Repeat::changed;
    row.repeat_text = "changed by " + rough(largest_change(values, old, in_.config.head_dim));
  }
}

const float* PaneRows::values(Part part, int position) const { return row_values(in_.data, part, position); }

}  // namespace lastrow::view
