// The sentence above the panes, and where the tour is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "viewer/view_model/state/target.h"

namespace lastrow::view {

/// beat: what the beat did. tour, ask: text of a script. offer: like beat, with the offer of the tour.
enum class SentenceKind : uint8_t { beat, tour, ask, offer };

struct Sentence {
  std::string text;
  SentenceKind kind = SentenceKind::beat;
  // To the right, dim: "Enter: one-minute tour · Esc: explore", "Enter: next · Space: pause · Esc: leave"
  std::string hint;
};

/// What the next line of the script waits for.
enum class Waiting : uint8_t { nothing, reading, poke, pause };

struct TourState {
  bool offered = false;  // "Enter: one-minute tour"
  bool active = false;
  int row = 0, n_rows = 0;  // "3 of 12"
  Waiting waiting = Waiting::nothing;
  std::string waiting_text;         // "waiting for your poke of q[3] …"
  double waited = 0, wait_for = 0;  // whole seconds
  std::optional<Target> asked;      // the row that the tour asks the user to poke
  bool operator==(const TourState&) const = default;
};

}  // namespace lastrow::view
