// What each row of a pane is at the end of a beat: its state, its place in the cache, whether it is poked, and how much
// it has changed since the step before.
#pragma once

#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/needed.h"
#include "viewer/view_model/describe/pane_source.h"
#include "viewer/view_model/describe/row_rule.h"
#include "viewer/view_model/state/pane_state.h"

namespace lastrow::view {

/// Keeps a reference to the source.
class PaneRows {
 public:
  explicit PaneRows(const PaneSource& source);

  /// values [width]: those of the row, or null if the side has none.
  Row row(Part part, int position, const float* values, int width) const;
  /// Compares a row of Q, K or V with the same row one step ago.
  void compare(Part part, const float* values, Row& row) const;
  /// A row of Q, K or V of this step, or null.
  const float* values(Part part, int position) const;
  /// Whether the side computes the row of a token in this step.
  bool fed(int position) const {
    return in_.side == Mode::recompute || in_.step.prefill() || position == in_.n - 1;
  }
  /// The beat before the one that is shown.
  Beat before() const { return before_; }

 private:
  RowRule rule(Part part, int position) const;
  bool is_needed(Part part, int position) const;
  int stored_index(const RowRule& rule, int position, Beat beat) const;
  bool is_poked(Part part, int position) const;
  const float* row_values(const SideData& s, Part part, int position) const;

  const PaneSource& in_;
  const Beat before_;
  NeededRows needed_;  // without a cache
};

}  // namespace lastrow::view
